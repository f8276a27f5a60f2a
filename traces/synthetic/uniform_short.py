"""The paper's short requests: chat-like lengths, one request a tick."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from traces.options import about
from traces.ticks import TickPreset, TickStream, integers


@dataclass(frozen=True, slots=True, kw_only=True)
class UniformShort(TickPreset):
    """Prompts of 128 to 1024 and outputs of 64 to 256 tokens, uniform; paper seeds 1 to 3.

    Attributes:
        n: Requests.
    """

    name: ClassVar[str] = "uniform-short"
    description: ClassVar[str] = "512 short requests, one a tick (paper; its seeds are 1, 2, 3)"

    n: int = field(default=512, metadata=about("requests", low=1, high=10**6))

    def ticks(self) -> TickStream:
        """Draw prompts, then outputs."""
        rng = np.random.default_rng(self.seed)
        prompt = integers(rng, 128, 1024, self.n)
        output = integers(rng, 64, 256, self.n)
        return TickStream(np.arange(self.n, dtype=np.int64), prompt, output)


PRESET = UniformShort
