"""Traffic that turns from many short requests (state-heavy) to few long ones (KV-heavy)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from traces.shifting import ShiftingPreset, ramp

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftToKv(ShiftingPreset):
    """A third of short requests, a third of change, a third of long requests."""

    name: ClassVar[str] = "shift-to-kv"
    description: ClassVar[str] = "many short requests (state-heavy), then few long ones (KV-heavy)"

    def long_share(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Rises from 0 to 1."""
        return ramp(time_s, self.duration_s)


PRESET = ShiftToKv
