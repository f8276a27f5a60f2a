"""First come, first served, with chunked prefill under a token budget."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sim.scheduler import Scheduler
from sim.step import Chunk, StepPlan
from sim.victims import RULES, Victim

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim.batch import Batch
    from sim.request import Sequence


@dataclass(frozen=True, slots=True)
class FcfsOptions:
    """Options of `fcfs`."""

    max_seqs: int = field(default=1024, metadata={"help": "sequences that may run at once"})
    max_batched_tokens: int = field(
        default=8192, metadata={"help": "tokens that one step may compute"}
    )
    victim: Victim = field(
        default=Victim.LATEST,
        metadata={
            "help": "who makes way when memory is full: latest admitted, fewest-outputs made, or"
            " longest, which frees most"
        },
    )

    def __post_init__(self) -> None:
        if self.max_seqs < 1 or self.max_batched_tokens < self.max_seqs:
            raise ValueError(
                "max_seqs must be at least 1 and max_batched_tokens at least max_seqs,"
                " so that every running sequence can make a token"
            )


class FcfsScheduler(Scheduler):
    """Iteration-level continuous batching.

    In each step every decoding sequence makes one token; what is left of the token budget goes to
    prompts under way, then to new admissions in order of arrival. A sequence is admitted with
    room for its whole prompt. When an extension fails, a victim (by default the latest admitted)
    loses its pages; nobody is admitted in such a step. If the latest is
    always the victim, `running` stays in order of arrival, since admission follows it.
    """

    name = "fcfs"
    summary = "decode first, then prompts in order of arrival; preempts by a rule of choice"
    source = "iteration-level scheduling (Orca, OSDI 2022), chunked prefill (Sarathi-Serve, 2024)"
    Options = FcfsOptions

    def __init__(self, options: FcfsOptions) -> None:
        self._options = options
        self._victim_key: Callable[[Sequence], tuple[float, ...]] = RULES[options.victim]

    def is_quiet(self, batch: Batch) -> bool:
        """See `Scheduler.is_quiet`: nobody can enter before something changes."""
        may_enter = batch.waiting and batch.short_pool is None
        return not may_enter or len(batch.running) >= self._most(batch)

    def _most(self, batch: Batch) -> int:
        return min(self._options.max_seqs, batch.max_sequences)

    def plan(self, batch: Batch) -> StepPlan:
        """See `Scheduler.plan`."""
        plan = StepPlan()
        preempted = self._plan_decodes(batch, plan)
        budget = self._options.max_batched_tokens - len(plan.decodes)
        if len(plan.decodes) < len(batch.running):
            for sequence in batch.running:
                if budget and sequence.owed_tokens:
                    budget -= self._plan_chunk(batch, plan, sequence, budget)
        if batch.waiting and not preempted:
            self._admit(batch, plan, budget)
        return plan

    def _plan_decodes(self, batch: Batch, plan: StepPlan) -> bool:
        """Extend every decoding sequence by one token; True if somebody was preempted."""
        if batch.extend_decoding():
            batch.decoding.enter(plan)
            return False
        return self._extend_one_by_one(batch, plan)

    def _extend_one_by_one(self, batch: Batch, plan: StepPlan) -> bool:
        preempted = False
        extended = []
        for sequence in tuple(batch.running):
            if sequence.computed_tokens < sequence.target_tokens:
                continue  # mid-prompt, or a victim of this step
            while not batch.extend(sequence):
                preempted = True
                if self._make_way(batch, sequence) is sequence:
                    break
            else:
                extended.append(sequence)
        plan.decodes = [s for s in extended if not s.owed_tokens]  # others became victims after
        plan.decode_context_tokens = sum(s.computed_tokens + 1 for s in plan.decodes)
        return preempted

    def _make_way(self, batch: Batch, asked_by: Sequence) -> Sequence:
        """Preempt a victim for who asks; one that is alone has outgrown memory and is refused."""
        victim = max(batch.running, key=self._victim_key)
        if len(batch.running) == 1:
            batch.reject_running(victim)
        else:
            batch.preempt(victim, asked_by)
        return victim

    def _plan_chunk(self, batch: Batch, plan: StepPlan, sequence: Sequence, budget: int) -> int:
        computed_tokens = sequence.computed_tokens
        tokens = min(budget, sequence.target_tokens - computed_tokens)
        batch.record_chunk(sequence, tokens)
        plan.chunks.append(Chunk(sequence, tokens, computed_tokens))
        return tokens

    def _admit(self, batch: Batch, plan: StepPlan, budget: int) -> None:
        most = self._most(batch)
        while budget and batch.waiting and len(batch.running) < most:
            sequence = batch.admit_head()
            if sequence is None:
                return
            budget -= self._plan_chunk(batch, plan, sequence, budget)
