"""The paper's burst of agent requests: many at once, prompts with a heavy tail."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from traces.options import about
from traces.ticks import TickPreset, TickStream, integers


@dataclass(frozen=True, slots=True, kw_only=True)
class AgenticBurst(TickPreset):
    """About ten requests a tick, prompts log-normal(8.5, 1) within 64 to 65536; seeds 3 to 5.

    Attributes:
        n: Requests.
    """

    name: ClassVar[str] = "agentic-burst"
    description: ClassVar[str] = "256 requests within 30 ticks (paper; its seeds are 3, 4, 5)"

    n: int = field(default=256, metadata=about("requests", low=1, high=10**6))

    def ticks(self) -> TickStream:
        """Draw gaps, prompts, outputs; an arrival is the tick its exact time rounds up to."""
        rng = np.random.default_rng(self.seed)
        arrival = np.ceil(np.cumsum(rng.exponential(0.1, self.n))).astype(np.int64)
        prompt = rng.lognormal(8.5, 1.0, self.n).astype(np.int64).clip(64, 65536)
        return TickStream(arrival, prompt, integers(rng, 64, 256, self.n))


PRESET = AgenticBurst
