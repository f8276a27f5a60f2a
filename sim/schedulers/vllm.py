"""vLLM's V1 scheduler: running first, then waiting, under one token budget; docs/engine.md."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from allocator.interface import UNBOUNDED_TOKENS, Terms
from allocator.prefix.interface import PrefixSharing
from sim.queue import ArrivalQueue, RankedQueue
from sim.scheduler import Scheduler
from sim.step import Chunk, StepPlan

if TYPE_CHECKING:
    from allocator.interface import CacheManager
    from allocator.prefix.interface import Prefix
    from sim.batch import Batch
    from sim.request import Sequence
    from sim.waiting import WaitingQueue


class Policy(Enum):
    """Who is admitted first and preempted last."""

    FCFS = "fcfs"
    PRIORITY = "priority"


class Switch(Enum):
    """Whether a part of the policy is in force."""

    ON = "on"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class VllmSchedulerOptions:
    """Options of `vllm`, by vLLM's names."""

    max_num_seqs: int = field(default=1024, metadata={"help": "sequences that may run at once"})
    max_num_batched_tokens: int = field(
        default=8192, metadata={"help": "tokens that one step may compute"}
    )
    long_prefill_token_threshold: int = field(
        default=0, metadata={"help": "tokens that one chunk of a prompt may have; 0 for no limit"}
    )
    chunked_prefill: Switch = field(
        default=Switch.ON,
        metadata={"help": "off: a prompt waits for a step with budget for all of it"},
    )
    watermark: float = field(
        default=0.0,
        metadata={"help": "share of the pool that an admission must leave free while others run"},
    )
    policy: Policy = field(
        default=Policy.FCFS,
        metadata={"help": "fcfs, or priority: the smallest number of a request goes first"},
    )
    reserve_full_prompt: Switch = field(
        default=Switch.ON,
        metadata={"help": "admit only what has room for its whole prompt (and output so far)"},
    )
    max_model_len: int = field(
        default=0,
        metadata={"help": "prompt and output tokens of a sequence at most; 0 for no limit"},
    )

    def __post_init__(self) -> None:
        if self.max_num_seqs < 1 or self.max_num_batched_tokens < self.max_num_seqs:
            raise ValueError(
                "max_num_seqs must be at least 1 and max_num_batched_tokens at least max_num_seqs"
            )
        if self.long_prefill_token_threshold < 0 or self.max_model_len < 0:
            raise ValueError(
                "long_prefill_token_threshold and max_model_len must be at least 0, no limit"
            )
        if not 0 <= self.watermark < 1:
            raise ValueError(f"watermark must lie between 0 and 1, not {self.watermark}")
        whole = self.chunked_prefill is Switch.OFF
        if whole and not 0 < self.max_model_len <= self.max_num_batched_tokens:
            raise ValueError(
                "chunked_prefill=off needs a max_model_len up to max_num_batched_tokens,"
                " or a prompt could wait for ever"
            )


class VllmScheduler(Scheduler):
    """There are no phases: a sequence owes tokens, one while it decodes, more for a prompt.

    Running sequences come first, in order of admission, each with what it owes as far as budget
    and chunk limit go. Where a grant fails, somebody makes way: under `fcfs` who was admitted
    last, under `priority` who ranks last, scheduled in this step or not; its tokens then return
    to the budget. A victim may be the sequence that asks. Only if nobody was preempted does the
    head of the queue enter, as often as it gets room. Room comes by the chunk, so prompts that
    were admitted together can run out of it together.
    """

    name = "vllm"
    summary = "running first, then admissions, under one token budget, preempting the last"
    source = "vLLM 0.24.0, v1/core/sched/scheduler.py: decision logs of the real scheduler"
    Options = VllmSchedulerOptions

    def __init__(self, options: VllmSchedulerOptions) -> None:
        self._options = options
        self._reserves = options.reserve_full_prompt is Switch.ON
        self._chunk_limit = options.long_prefill_token_threshold or UNBOUNDED_TOKENS
        self.max_tokens = options.max_model_len or UNBOUNDED_TOKENS

    def new_queue(self) -> WaitingQueue:
        """See `Scheduler.new_queue`."""
        return RankedQueue(_rank) if self._options.policy is Policy.PRIORITY else ArrivalQueue()

    def objection(self, manager: CacheManager) -> str:
        """See `Scheduler.objection`: what vLLM refuses at start-up."""
        block = manager.checkpoint_tokens if isinstance(manager, PrefixSharing) else 0
        if not block:
            return ""
        if self._options.chunked_prefill is Switch.OFF:
            return "states are kept at block boundaries, which needs chunked_prefill=on"
        if min(self._options.max_num_batched_tokens, self._chunk_limit) < block:
            return (
                f"states are kept every {block} tokens: max_num_batched_tokens and"
                f" long_prefill_token_threshold (unless 0) must be at least {block}"
            )
        return ""

    def is_quiet(self, batch: Batch) -> bool:
        """See `Scheduler.is_quiet`; a head that asks by the chunk is asked again in every step."""
        if batch.shares_prefixes:
            return False
        refused = self._reserves and batch.short_pool is not None
        full = len(batch.running) >= self._options.max_num_seqs
        return not batch.waiting or refused or full

    def plan(self, batch: Batch) -> StepPlan:
        """See `Scheduler.plan`."""
        draft = _Draft(self._options.max_num_batched_tokens)
        if not self._schedule_running(batch, draft):
            self._schedule_waiting(batch, draft)
        return draft.plan(batch)

    def _schedule_running(self, batch: Batch, draft: _Draft) -> bool:
        """Extend running sequences; True if somebody was preempted.

        The place steps back for a victim that was scheduled in this step only, as in vLLM: one
        that was passed over for lack of a whole block shifts the list, and the next is skipped.
        """
        if self._extend_decoding(batch, draft):
            return False
        preempted, place = False, 0
        while place < len(batch.running) and draft.budget:
            sequence = batch.running[place]
            tokens = self._next_chunk(batch, draft, sequence)
            while tokens and not batch.extend(sequence, tokens):
                preempted = True
                victim = self._victim(batch)
                place -= draft.drop(victim)
                self._make_way(batch, victim, sequence)
                if victim is sequence:
                    return True
            if tokens:
                draft.add(sequence, tokens)
            place += 1
        return preempted

    def _extend_decoding(self, batch: Batch, draft: _Draft) -> bool:
        """Give everybody a token in one call, if nobody owes more and there is room for all.

        Where blocks are shared the order of calls decides which texts are evicted.
        """
        running = batch.running
        if batch.shares_prefixes or len(running) > draft.budget:
            return False
        if len(batch.decoding.members) < len(running) or not batch.extend_decoding():
            return False
        draft.add_decoding(len(running))
        return True

    def _schedule_waiting(self, batch: Batch, draft: _Draft) -> None:
        """Admit from the head of the queue until one does not fit; nobody overtakes it."""
        options = self._options
        while batch.waiting and draft.budget and len(batch.running) < options.max_num_seqs:
            head, prefix = batch.waiting.head(), batch.find_prefix()
            if prefix is None and self._reserves and batch.short_pool is not None:
                return  # it asks for the same as when it was refused, and nothing was released
            if prefix is not None and prefix.is_pending:
                return
            tokens = self._first_chunk(batch, draft, head, prefix)
            terms = Terms(
                room_tokens=head.total_tokens if self._reserves else 0,
                margin=options.watermark if batch.running else 0.0,
                prefix=prefix,
            )
            if not tokens or batch.admit(_done(head, prefix) + tokens, terms) is None:
                return
            draft.add(head, tokens)

    def _next_chunk(self, batch: Batch, draft: _Draft, sequence: Sequence) -> int:
        done = sequence.computed_tokens
        tokens = min(sequence.total_tokens - done, self._chunk_limit, draft.budget)
        return _to_checkpoint(sequence, done, tokens, batch.checkpoint_tokens)

    def _first_chunk(
        self, batch: Batch, draft: _Draft, head: Sequence, prefix: Prefix | None
    ) -> int:
        """Tokens that the head of the queue would compute; 0 if it has to wait."""
        done = _done(head, prefix)
        tokens = min(head.total_tokens - done, self._chunk_limit)
        if tokens > draft.budget and self._options.chunked_prefill is Switch.OFF:
            return 0
        tokens = min(tokens, draft.budget)
        tokens = _to_checkpoint(head, done, tokens, batch.checkpoint_tokens)
        if prefix is not None and prefix.stateless_tokens:
            tokens = min(tokens, prefix.stateless_tokens)  # leave a state where texts part
        return tokens

    def _victim(self, batch: Batch) -> Sequence:
        if self._options.policy is Policy.PRIORITY:
            return max(batch.running, key=_rank)
        return batch.running[-1]

    def _make_way(self, batch: Batch, victim: Sequence, asked_by: Sequence) -> None:
        """Preempt; but who outgrows memory alone, with nothing to keep it out, is refused.

        vLLM would admit it again with its first chunk, and recompute it for ever.
        """
        if len(batch.running) == 1 and not self._reserves:
            batch.reject_running(victim)
        else:
            batch.preempt(victim, asked_by)


class _Draft:
    """Tokens by sequence, in the order of the plan, and what is left of the budget."""

    __slots__ = ("_together", "_tokens", "budget")

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._tokens: dict[Sequence, int] = {}
        self._together = False  # all that decode do

    def add_decoding(self, count: int) -> None:
        """All that decode, so many, get a token."""
        self._together = True
        self.budget -= count

    def add(self, sequence: Sequence, tokens: int) -> None:
        self._tokens[sequence] = tokens
        self.budget -= tokens

    def drop(self, sequence: Sequence) -> bool:
        """Take a sequence out of the plan again; whether it was in it."""
        tokens = self._tokens.pop(sequence, 0)
        self.budget += tokens
        return tokens > 0

    def plan(self, batch: Batch) -> StepPlan:
        """The step, with its chunks logged."""
        plan = StepPlan()
        if self._together:
            batch.decoding.enter(plan)
        for sequence, tokens in self._tokens.items():
            computed_tokens = sequence.computed_tokens
            if computed_tokens >= sequence.target_tokens:
                plan.decodes.append(sequence)
                plan.decode_context_tokens += computed_tokens + 1
            else:
                batch.record_chunk(sequence, tokens)
                plan.chunks.append(Chunk(sequence, tokens, computed_tokens))
        return plan


def _rank(sequence: Sequence) -> tuple[int, int]:
    return sequence.request.priority, sequence.request_id


def _done(head: Sequence, prefix: Prefix | None) -> int:
    """Tokens that the head of the queue need not compute: swapped, or found."""
    return head.computed_tokens if prefix is None else prefix.tokens


def _to_checkpoint(sequence: Sequence, done: int, tokens: int, block: int) -> int:
    """Shorten a chunk so that a state is left at the last block boundary of what is owed.

    Args:
        sequence: Whose chunk.
        done: Tokens computed, or found.
        tokens: Tokens of the chunk so far.
        block: Tokens between two checkpoints; 0 if there are none.
    """
    total = sequence.total_tokens
    if not block or done >= max(sequence.request.prompt_tokens, total - 1):
        return tokens
    edge = total - total % block
    if done + tokens < edge:
        return tokens - tokens % block
    return edge - done if done < edge else tokens
