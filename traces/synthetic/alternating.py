"""Traffic that swings between many short and few long requests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from traces.options import about
from traces.shifting import ShiftingPreset

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternating(ShiftingPreset):
    """The first half of each period is all short requests, the second half all long ones.

    Attributes:
        period_s: Seconds from one start of short requests to the next.
    """

    name: ClassVar[str] = "alternating"
    description: ClassVar[str] = "state-heavy and KV-heavy traffic in turn, half a period each"

    period_s: float = field(default=120.0, metadata=about("seconds a period", above=0))

    def long_share(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """0 in the first half of a period, 1 in the second."""
        return (np.mod(time_s, self.period_s) >= self.period_s / 2).astype(np.float64)


PRESET = Alternating
