"""Measuring steps of chosen shapes: real sequences in a manager, a plan of them, an executor."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sim.request import Sequence
from sim.step import Chunk, StepPlan, StepWork
from traces.record import Request

if TYPE_CHECKING:
    from allocator.interface import CacheManager
    from sim.step import StepExecutor

WARM_UP = 2
MOST_FILLERS = 40
"""Steps in which one sequence decodes, between two with parts of prompts."""

FILLER_TOKENS = 64


class Shape(Protocol):
    """What a step holds; see `gpu_backend.calibrate.StepShape`."""

    @property
    def decodes(self) -> int:
        """Sequences that make a token each."""

    @property
    def context_tokens(self) -> int:
        """Tokens that each of those has computed before."""

    @property
    def chunks(self) -> int:
        """Parts of prompts."""

    @property
    def chunk_tokens(self) -> int:
        """Tokens of each part."""

    @property
    def chunk_context_tokens(self) -> int:
        """Tokens computed before each part."""


@dataclass(frozen=True, slots=True)
class MeasuredStep:
    """A shape as it ran.

    Attributes:
        work: What was computed, in the middle trial.
        duration_ns: Median of the trials.
        spread_pct: Half of (slowest - fastest), in percent of the median.
    """

    work: StepWork
    duration_ns: int
    spread_pct: float


class StepBench:
    """Lets steps of any shape run as the engine would run them, without a trace.

    What the caches hold of earlier tokens is whatever was there: it takes as long to read. The
    tokens that a sequence feeds are those of its prompt, which is long enough for all trials.

    Steps with parts of prompts are arithmetic, and many in a row let a device's clock sink. Served
    requests bring them one at a time, so there is as much decoding between two.
    """

    def __init__(self, manager: CacheManager, executor: StepExecutor, trials: int = 7) -> None:
        self._manager = manager
        self._executor = executor
        self._trials = trials
        self._num_admitted = 0

    def measure(self, shape: Shape) -> MeasuredStep:
        """Run a shape; its sequences leave the manager again.

        Raises:
            OutOfMemoryError: If the manager has no room for it.
        """
        decoding: list[Sequence] = []
        try:
            for _ in range(shape.decodes):
                decoding.append(self._admit(shape.context_tokens, 0))  # noqa: PERF401 - kept if one fails
            measured = self._trials_of(shape, decoding)
        finally:
            for sequence in decoding:
                self._manager.release(sequence.request_id)
        return _folded(measured[WARM_UP:])

    def _trials_of(self, shape: Shape, decoding: list[Sequence]) -> list[tuple[StepWork, int]]:
        measured: list[tuple[StepWork, int]] = []
        for _ in range(WARM_UP + self._trials):
            measured.append(self._run(shape, decoding))
            if shape.chunks:
                self._decode_for(measured[-1][1])
        return measured

    def _decode_for(self, duration_ns: int) -> None:
        """Let a sequence decode, always the same token, for about so long."""
        filler = self._admit(FILLER_TOKENS, 0, room=MOST_FILLERS + 1)
        plan = StepPlan(decodes=[filler], decode_context_tokens=FILLER_TOKENS + 1)
        try:
            self._manager.extend(filler.request_id, 1)
            for _ in range(MOST_FILLERS):
                duration_ns -= self._executor.execute(plan)
                if duration_ns <= 0:
                    break
        finally:
            self._manager.release(filler.request_id)

    def _run(self, shape: Shape, decoding: list[Sequence]) -> tuple[StepWork, int]:
        for sequence in decoding:
            self._manager.extend(sequence.request_id, 1)
        context, tokens = shape.chunk_context_tokens, shape.chunk_tokens
        prompts: list[Sequence] = []
        try:
            for _ in range(shape.chunks):
                prompts.append(self._admit(context, tokens))  # noqa: PERF401 - kept if one fails
            plan = StepPlan(
                decodes=decoding,
                decode_context_tokens=sum(s.computed_tokens + 1 for s in decoding),
                chunks=[Chunk(sequence, tokens, context) for sequence in prompts],
            )
            work, duration_ns = StepWork.of(plan), self._executor.execute(plan)
        finally:
            for sequence in prompts:
                self._manager.release(sequence.request_id)
        for sequence in decoding:
            sequence.computed_tokens += 1
            sequence.made_tokens += 1
        return work, duration_ns

    def _admit(self, computed_tokens: int, more_tokens: int, room: int = 0) -> Sequence:
        """A sequence with room for some tokens beyond those that count as computed."""
        number, room = self._num_admitted, room or self._trials + WARM_UP + 1
        self._num_admitted += 1
        prompt = computed_tokens + (more_tokens or room)
        sequence = Sequence(Request(number, 0, prompt, room))
        self._manager.admit(number, computed_tokens + more_tokens)
        sequence.computed_tokens = computed_tokens
        sequence.place = number + 1
        return sequence


def _folded(measured: list[tuple[StepWork, int]]) -> MeasuredStep:
    durations = [duration_ns for _, duration_ns in measured]
    median_ns = round(statistics.median(durations))
    spread = (max(durations) - min(durations)) / 2 / median_ns * 100
    return MeasuredStep(measured[len(measured) // 2][0], median_ns, spread)
