"""The paper's mix of short and very long prompts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from traces.options import about
from traces.ticks import TickPreset, TickStream, integers

LONG_SHARE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedLong(TickPreset):
    """A fifth of the prompts has 16384 to 65536 tokens, the rest 512 to 4096; seeds 2 to 4.

    Attributes:
        n: Requests.
    """

    name: ClassVar[str] = "mixed-long"
    description: ClassVar[str] = "256 requests, a fifth very long (paper; its seeds are 2, 3, 4)"

    n: int = field(default=256, metadata=about("requests", low=1, high=10**6))

    def ticks(self) -> TickStream:
        """Draw flags, short prompts, long prompts, outputs; both prompt arrays are always drawn."""
        rng = np.random.default_rng(self.seed)
        is_long = rng.uniform(0, 1, self.n) < LONG_SHARE
        short = integers(rng, 512, 4096, self.n)
        long = integers(rng, 16384, 65536, self.n)
        output = integers(rng, 128, 512, self.n)
        prompt = np.where(is_long, long, short)
        return TickStream(np.arange(self.n, dtype=np.int64), prompt, output)


PRESET = MixedLong
