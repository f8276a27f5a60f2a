"""First come, first served, with chunked prefill under a token budget."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sim.scheduler import Scheduler
from sim.step import Chunk, StepPlan

if TYPE_CHECKING:
    from sim.batch import Batch
    from sim.request import Sequence


@dataclass(frozen=True, slots=True)
class FcfsOptions:
    """Options of `fcfs`."""

    max_seqs: int = field(default=1024, metadata={"help": "sequences that may run at once"})
    max_batched_tokens: int = field(
        default=8192, metadata={"help": "tokens that one step may compute"}
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
    room for its whole prompt. When an extension fails, the latest arrival loses its pages and
    recomputes later; nobody is admitted in such a step. Since admission follows arrival and the
    latest arrival is always the victim, `running` stays in order of arrival.
    """

    name = "fcfs"
    summary = "decode first, then prompts in order of arrival; the latest arrival is preempted"
    source = "iteration-level scheduling (Orca, OSDI 2022), chunked prefill (Sarathi-Serve, 2024)"
    Options = FcfsOptions

    def __init__(self, options: FcfsOptions) -> None:
        self._options = options

    def is_quiet(self, batch: Batch) -> bool:
        """See `Scheduler.is_quiet`: nobody can enter before something changes."""
        may_enter = batch.waiting and batch.short_pool is None
        return not may_enter or len(batch.running) >= self._options.max_seqs

    def plan(self, batch: Batch) -> StepPlan:
        """See `Scheduler.plan`."""
        plan = StepPlan()
        preempted = self._plan_decodes(batch, plan)
        budget = self._options.max_batched_tokens - len(plan.decodes)
        if len(plan.decodes) < len(batch.running):
            for sequence in batch.running:
                if budget and sequence.owed_tokens:
                    budget -= self._plan_chunk(batch, plan, sequence, budget)
        if not preempted:
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
        context_tokens = 0
        for sequence in tuple(batch.running):
            computed_tokens = sequence.computed_tokens
            if computed_tokens < sequence.target_tokens:
                continue
            while not batch.extend(sequence):
                preempted = True
                if self._make_way(batch) is sequence:
                    break
            else:
                plan.decodes.append(sequence)
                context_tokens += computed_tokens + 1
        plan.decode_context_tokens = context_tokens
        return preempted

    def _make_way(self, batch: Batch) -> Sequence:
        """Preempt the latest arrival; one that is alone has outgrown memory and is refused."""
        victim = batch.running[-1]
        if len(batch.running) == 1:
            batch.reject_running(victim)
        else:
            batch.preempt(victim)
        return victim

    def _plan_chunk(self, batch: Batch, plan: StepPlan, sequence: Sequence, budget: int) -> int:
        tokens = min(budget, sequence.owed_tokens)
        batch.record_chunk(sequence, tokens)
        plan.chunks.append(Chunk(sequence, tokens, sequence.computed_tokens))
        return tokens

    def _admit(self, batch: Batch, plan: StepPlan, budget: int) -> None:
        while budget and batch.waiting and len(batch.running) < self._options.max_seqs:
            sequence = batch.admit_head()
            if sequence is None:
                return
            budget -= self._plan_chunk(batch, plan, sequence, budget)
