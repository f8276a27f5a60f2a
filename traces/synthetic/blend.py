"""Traffic whose shares of many short and few long requests stay as they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from traces.options import about
from traces.shifting import ShiftingPreset

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Blend(ShiftingPreset):
    """Short and long requests beside each other, at rates that do not change.

    Attributes:
        share: The share of the traffic that long requests have; 0 is all short, 1 all long.
    """

    name: ClassVar[str] = "blend"
    description: ClassVar[str] = "state-heavy and KV-heavy traffic at a constant share"

    share: float = field(default=0.5, metadata=about("share of long requests", low=0, high=1))

    def long_share(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """The same at all times."""
        return np.full(time_s.shape, self.share)


PRESET = Blend
