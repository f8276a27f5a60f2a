"""SGLang's scheduler: prompts before decoding, retraction when decoding runs out of memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from allocator.interface import Terms
from sim.queue import SortedQueue, TailQueue
from sim.scheduler import Scheduler
from sim.step import Chunk, StepPlan

if TYPE_CHECKING:
    from allocator.prefix.spans import Span
    from sim.batch import Batch
    from sim.request import Sequence
    from sim.waiting import WaitingQueue

INIT_NEW_TOKEN_RATIO = 0.7
MIN_NEW_TOKEN_RATIO_FACTOR = 0.14
DECAY_STEPS = 600
RETRACT_STEPS = 20
"""Tokens by which survivors of a retraction are to grow, for the ratio that follows it."""

MOST_NEW_TOKENS = 4096
"""A sequence is never reckoned with more output to come."""

MOST_RANKED = 128
"""Where more wait, the queue stays as it is: looking up all their texts costs too much."""

ALIKE_TOKENS = 32
"""Texts that start with so many tokens alike, of which no more is found, enter one at a time."""


class Policy(Enum):
    """Who waits in front."""

    FCFS = "fcfs"
    LPM = "lpm"


@dataclass(frozen=True, slots=True)
class SglangSchedulerOptions:
    """Options of `sglang`."""

    max_running_requests: int = field(
        default=4096, metadata={"help": "sequences that may run at once, if state slots allow"}
    )
    chunked_prefill_size: int = field(
        default=8192, metadata={"help": "prompt tokens that one step may compute"}
    )
    max_prefill_tokens: int = field(
        default=16384,
        metadata={"help": "prompt tokens beyond which no other prompt joins a step"},
    )
    conservativeness: float = field(
        default=1.0,
        metadata={"help": "factor of the share of running sequences' output that is reserved"},
    )
    policy: Policy = field(
        default=Policy.FCFS,
        metadata={"help": "fcfs, or lpm: whoever has most of its text found goes first"},
    )

    def __post_init__(self) -> None:
        counts = (self.max_running_requests, self.chunked_prefill_size, self.max_prefill_tokens)
        if min(counts) < 1:
            raise ValueError(
                "max_running_requests, chunked_prefill_size and max_prefill_tokens"
                " must be at least 1"
            )
        if not 0 < self.conservativeness < float("inf"):
            raise ValueError(f"conservativeness must be above 0, not {self.conservativeness}")


class SglangScheduler(Scheduler):
    """A step computes prompts or decodes, and prompts come first.

    A sequence is admitted if its prompt and all its output would have room beside a share of the
    output that running sequences have still to make, the new-token ratio, and all the output of
    those admitted in the same step. The ratio falls with every step of decoding. When decoding
    fails, the sequences with the fewest outputs, then the longest prompts, are retracted, one at
    least, until it succeeds; the ratio is then what the survivors have made of their output and
    are to make soon. Retracted sequences wait again behind all others. Output lengths are taken
    as what clients declare (max_new_tokens), so every sequence makes all it declared.
    """

    name = "sglang"
    summary = "prompts first, admitted by a share of the output to come; retraction"
    source = "SGLang 0.5 (PrefillAdder, retract_decode, NewTokenRatioTracker), public source read"
    Options = SglangSchedulerOptions

    def __init__(self, options: SglangSchedulerOptions) -> None:
        self._options = options
        self._most_ratio = min(1.0, INIT_NEW_TOKEN_RATIO * options.conservativeness)
        self._least_ratio = self._most_ratio * MIN_NEW_TOKEN_RATIO_FACTOR
        self._decay = (self._most_ratio - self._least_ratio) / DECAY_STEPS
        self._ratio = self._most_ratio

    def new_queue(self) -> WaitingQueue:
        """See `Scheduler.new_queue`."""
        return SortedQueue() if self._options.policy is Policy.LPM else TailQueue()

    def plan(self, batch: Batch) -> StepPlan:
        """See `Scheduler.plan`."""
        plan = StepPlan()
        if not batch.running and not batch.waiting:
            self._ratio = self._most_ratio  # as the engine does when it is idle
        self._plan_prompts(batch, plan)
        if not plan and batch.running:
            self._plan_decodes(batch, plan)
        return plan

    def _plan_prompts(self, batch: Batch, plan: StepPlan) -> None:
        """Go on with the prompt that the last step cut, then admit."""
        budget = self._options.chunked_prefill_size
        for sequence in batch.running:
            if sequence.owed_tokens:
                budget -= _plan_chunk(batch, plan, sequence, budget)
        reserved = sum(map(_to_come, batch.running)) * self._ratio
        allowed = self._options.max_prefill_tokens - sum(chunk.tokens for chunk in plan.chunks)
        most = min(self._options.max_running_requests, batch.max_sequences)
        if budget and len(batch.running) < most and self._options.policy is Policy.LPM:
            _put_longest_prefix_first(batch)
        while budget and batch.waiting and batch.short_pool is None:
            if len(batch.running) >= most:
                return
            head = self._admit(batch, int(reserved), allowed if plan else None)
            if head is None:
                return
            reserved += _to_come(head)
            tokens = _plan_chunk(batch, plan, head, budget)
            budget -= tokens
            allowed -= tokens

    def _admit(self, batch: Batch, reserved: int, allowed: int | None) -> Sequence | None:
        """Admit the head of the queue with room for its whole prompt; None if it has to wait."""
        head, prefix = batch.waiting.head(), batch.find_prefix()
        owed_tokens = head.owed_tokens - (0 if prefix is None else prefix.tokens)
        if allowed is not None and owed_tokens > allowed:
            return None
        if prefix is not None and prefix.is_pending:
            return None
        room_tokens = head.target_tokens + _to_come(head)
        return batch.admit(head.target_tokens, Terms(room_tokens, reserved, prefix=prefix))

    def _plan_decodes(self, batch: Batch, plan: StepPlan) -> None:
        """Let everybody make a token, after retracting whom memory has no room for."""
        ranked = sorted(batch.running, key=_rank_to_stay)
        if batch.extend_decoding(blamed=ranked[0]):
            self._ratio = max(self._least_ratio, self._ratio - self._decay)
        else:
            self._retract(batch, ranked)
        batch.decoding.enter(plan)

    def _retract(self, batch: Batch, ranked: list[Sequence]) -> None:
        """Retract from the front of a ranking until there is room for the rest."""
        for number, victim in enumerate(ranked):
            if number == len(ranked) - 1:
                batch.reject_running(victim)  # alone it has outgrown memory
                return
            batch.preempt(victim)
            if batch.extend_decoding(blamed=ranked[number + 1]):
                break
        made = sum(sequence.made_tokens for sequence in batch.running)
        soon = RETRACT_STEPS * len(batch.running)
        declared = sum(sequence.output_tokens for sequence in batch.running)
        self._ratio = min(1.0, (made + soon) / (declared + 1))


def _plan_chunk(batch: Batch, plan: StepPlan, sequence: Sequence, budget: int) -> int:
    tokens = min(budget, sequence.owed_tokens)
    batch.record_chunk(sequence, tokens)
    plan.chunks.append(Chunk(sequence, tokens, sequence.computed_tokens))
    return tokens


def _put_longest_prefix_first(batch: Batch) -> None:
    """Sort who waits by the tokens found of each text; in a stable way, so equals keep their order.

    Of texts that start alike, and that nobody has computed yet, only the first counts: the others
    go last, so that they find what it leaves.
    """
    queue = batch.waiting
    if batch.short_pool is not None or not isinstance(queue, SortedQueue):
        return
    if not batch.shares_prefixes or len(queue) > MOST_RANKED:
        return
    ranks: dict[Sequence, float] = {}
    seen: set[tuple[Span, ...]] = set()
    for sequence in queue:
        prefix = batch.find_prefix(sequence)
        found = 0 if prefix is None else prefix.tokens
        ranks[sequence] = -found
        if prefix is not None and found <= ALIKE_TOKENS <= sequence.target_tokens:
            start = tuple(prefix.content.spans(ALIKE_TOKENS))
            if start in seen:
                ranks[sequence] = float("inf")
            seen.add(start)
    queue.sort(ranks.__getitem__)


def _to_come(sequence: Sequence) -> int:
    """Tokens that a sequence will still need room for; its last one needs none."""
    return min(sequence.output_tokens - sequence.made_tokens - 1, MOST_NEW_TOKENS)


def _rank_to_stay(sequence: Sequence) -> tuple[int, int, int]:
    """Lower for those that go first: few outputs, then a long prompt, then a late admission."""
    return sequence.made_tokens, -sequence.request.prompt_tokens, -sequence.request_id
