"""What memory costs the host beside the steps of a run, and whether a step ever waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from scenarios.validation.steps import RecordedStep


def aside_json(steps: Sequence[RecordedStep]) -> dict[str, Any]:
    """The host's time as a share of the steps', and steps with remapping against those without.

    Steps in which everybody decodes are compared by measured over predicted time less one; those
    with mappings beside them should be no slower than those with none.
    """
    if not steps:
        return {"host": None, "remapping": None}
    measured, allocator, host = (
        _column(steps, lambda step: step.measured_ns),
        _column(steps, lambda step: step.aside.allocator_ns),
        _column(steps, lambda step: step.aside.host_ns),
    )
    return {
        "host": {
            "allocator_pct": 100 * float(allocator.sum() / measured.sum()),
            "allocator_p50_us": float(np.median(allocator)) / 1e3,
            "allocator_p95_us": float(np.percentile(allocator, 95)) / 1e3,
            "all_p50_us": float(np.median(host)) / 1e3,
            "all_p50_pct": 100 * float(np.median(host / measured)),
        },
        "remapping": _remapping_json(steps, measured),
    }


def _remapping_json(
    steps: Sequence[RecordedStep], measured: NDArray[np.float64]
) -> dict[str, float | int | None]:
    slower = measured / _column(steps, lambda step: step.predicted_ns) - 1
    waits = _column(steps, lambda step: step.aside.remaps + step.aside.copies) > 0
    beside = (_column(steps, lambda step: step.aside.remaps_beside) > 0) & ~waits
    decode = _column(steps, lambda step: step.work.chunks) == 0
    plain = decode & ~waits & ~beside
    return {
        "steps_that_wait": int(waits.sum()),
        "steps_beside": int(beside.sum()),
        "decode_steps_beside": int((beside & decode).sum()),
        "decode_beside_slower_pct": _median_pct(slower[beside & decode]),
        "decode_plain_slower_pct": _median_pct(slower[plain]),
    }


def _median_pct(ratios: NDArray[np.float64]) -> float | None:
    return 100 * float(np.median(ratios)) if len(ratios) else None


def _column(
    steps: Sequence[RecordedStep], value: Callable[[RecordedStep], int]
) -> NDArray[np.float64]:
    return np.array([value(step) for step in steps], dtype=np.float64)
