"""The streams of arXiv 2605.22416 count time in ticks; here they become nanoseconds."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from traces.options import about
from traces.preset import Preset
from traces.record import Trace

if TYPE_CHECKING:
    from traces.record import Int64Array

NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class TickStream:
    """One stream as the paper draws it.

    Attributes:
        arrival_ticks: int64, shape (n,).
        prompt_tokens: int64, shape (n,).
        output_tokens: int64, shape (n,).
    """

    arrival_ticks: Int64Array
    prompt_tokens: Int64Array
    output_tokens: Int64Array


@dataclass(frozen=True, slots=True, kw_only=True)
class TickPreset(Preset):
    """A stream of the paper, whose clock has no unit.

    Attributes:
        tick_ms: Milliseconds that a tick stands for; the paper names none, 1 is our choice.
    """

    source: ClassVar[str] = "arXiv 2605.22416, synthetic workloads"

    tick_ms: float = field(
        default=1.0, metadata=about("milliseconds a tick", low=1e-6, high=3_600_000)
    )

    @abstractmethod
    def ticks(self) -> TickStream:
        """The stream in ticks, drawn in the paper's order."""

    def generate(self) -> Trace:
        """The stream with each tick as `tick_ms`, rounded to whole nanoseconds a tick."""
        stream = self.ticks()
        return Trace(
            name=self.label,
            prompt_tokens=stream.prompt_tokens,
            output_tokens=stream.output_tokens,
            arrival_ns=stream.arrival_ticks * round(self.tick_ms * NS_PER_MS),
        )


def integers(rng: np.random.Generator, low: int, high: int, count: int) -> Int64Array:
    """Uniform whole numbers from low to high, both included, shape (count,)."""
    return rng.integers(low, high + 1, count, dtype=np.int64)
