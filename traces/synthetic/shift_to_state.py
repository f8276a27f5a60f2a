"""Traffic that turns from few long requests (KV-heavy) to many short ones (state-heavy)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from traces.shifting import ShiftingPreset, ramp

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftToState(ShiftingPreset):
    """A third of long requests, a third of change, a third of short requests."""

    name: ClassVar[str] = "shift-to-state"
    description: ClassVar[str] = "few long requests (KV-heavy), then many short ones (state-heavy)"

    def long_share(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Falls from 1 to 0."""
        return 1 - ramp(time_s, self.duration_s)


PRESET = ShiftToState
