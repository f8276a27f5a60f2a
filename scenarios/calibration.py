"""`twinpool calibrate`: steps and memory calls measured on a device become a profile."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scenarios.device import known_devices
from scenarios.errors import UserError
from scenarios.profile import FitError, Profile
from scenarios.whole_file import write_text
from sim.costs.profile import TERMS, CostTable, LaunchCosts
from sim.costs.roofline import RemapCosts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from gpu_backend.calibrate import Fit, StepShape
    from scenarios.step_bench import MeasuredStep, StepBench


@dataclass(frozen=True, slots=True)
class Subject:
    """What is calibrated.

    Attributes:
        model: Name of the model.
        device: Name of the device, as the catalogue has it.
        dtypes: Element types of KV and state.
        measured_on: Product, driver and versions.
    """

    model: str
    device: str
    dtypes: dict[str, str]
    measured_on: dict[str, str]


@dataclass(frozen=True, slots=True)
class MeasuredRow:
    """A shape and what it took."""

    shape: StepShape
    step: MeasuredStep

    def to_json(self, predicted_ns: float) -> dict[str, Any]:
        """The row of a profile, with what the table says of it."""
        return {
            "shape": asdict(self.shape),
            "work": asdict(self.step.work),
            "measured_ns": self.step.duration_ns,
            "spread_pct": round(self.step.spread_pct, 3),
            "predicted_ns": round(predicted_ns),
        }


def measure_steps(
    bench: StepBench, shapes: Sequence[StepShape], on_step: Callable[[int], None] | None = None
) -> list[MeasuredRow]:
    """Measure every shape, in order; `on_step` is told how many are done."""
    rows = []
    for number, shape in enumerate(shapes, start=1):
        rows.append(MeasuredRow(shape, bench.measure(shape)))
        if on_step is not None:
            on_step(number)
    return rows


def fitted_profile(
    subject: Subject, rows: Sequence[MeasuredRow], primitives: Mapping[str, Any]
) -> tuple[Profile, dict[str, Any]]:
    """Fit a cost table to measured steps.

    Args:
        subject: What was measured.
        rows: The steps.
        primitives: Of `gpu_backend.primitives.measure_primitives`.

    Returns:
        The profile, and its evidence: the steps with what the table says of them, and the
        primitives.
    """
    from gpu_backend.calibrate import (  # noqa: PLC0415 - lazily
        Measurements,
        copy_costs,
        fit_costs,
        predicted_ns,
        remap_costs,
    )

    durations = np.array([row.step.duration_ns for row in rows], dtype=np.float64)
    measured = Measurements(_amounts(rows), durations, _launch_groups(rows))
    fit = fit_costs(measured, len(LaunchCosts.__slots__))
    copies = copy_costs(primitives["page_copy"])
    table = CostTable(
        terms=tuple(zip(TERMS, fit.coefficients, strict=True)),
        remap=RemapCosts(**remap_costs(primitives["mapping_idle"])),
        remap_beside=RemapCosts(**remap_costs(primitives["mapping_beside_kernel"])),
        copy_ns=copies["copy_ns"],
        copied_byte_ns=copies["copied_byte_ns"],
        launch=LaunchCosts(*fit.floors_ns),
    )
    profile = Profile(
        name="",
        model=subject.model,
        device=subject.device,
        measured_on=subject.measured_on,
        dtypes=subject.dtypes,
        table=table,
        fit_error=_fit_error(fit),
    )
    predicted = predicted_ns(np.array(fit.coefficients), np.array(fit.floors_ns), measured)
    pairs = zip(rows, predicted.tolist(), strict=True)
    steps = [row.to_json(predicted_ns) for row, predicted_ns in pairs]
    return profile, {"steps": steps, "primitives": primitives}


def write_profile(file: Path, profile: Profile, evidence: Mapping[str, Any]) -> None:
    """Write a profile as `read_profile` reads it."""
    text = json.dumps(profile.to_json(evidence), indent=1)
    write_text(file, text + "\n")


def catalogue_name(product: str) -> str:
    """The device of the catalogue that a product is: every word of its name is in the product's.

    Raises:
        UserError: If there is none, or more than one.
    """
    words = set(re.findall(r"[a-z]+|\d+[a-z]*", product.lower()))
    words |= {word for part in product.lower().split() for word in part.split("-")}
    found = [name for name in known_devices() if set(name.split("-")) <= words]
    if len(found) != 1:
        raise UserError(
            f"the device {product!r} is none of {', '.join(known_devices())}: add it to the"
            " catalogue, or name one with --device"
        )
    return found[0]


def _amounts(rows: Sequence[MeasuredRow]) -> NDArray[np.float64]:
    """How much of each term each step has."""
    values = [[amount(row.step.work) for amount in TERMS.values()] for row in rows]
    return np.array(values, dtype=np.float64)


def _launch_groups(rows: Sequence[MeasuredRow]) -> NDArray[np.int64]:
    """Which of the costs in `LaunchCosts` each step may be bound by; -1 for none."""
    works = [row.step.work for row in rows]
    return np.array([int(work.decodes > 0) if work.chunks else -1 for work in works])


def _fit_error(fit: Fit) -> FitError:
    return FitError(
        median_pct=_rounded(np.median(fit.errors_pct)),
        p95_pct=_rounded(np.percentile(fit.errors_pct, 95)),
        held_out_median_pct=_rounded(np.median(fit.held_out_pct)),
        held_out_p95_pct=_rounded(np.percentile(fit.held_out_pct, 95)),
    )


def _rounded(value: np.floating[Any]) -> float:
    return round(float(value), 3)
