"""`twinpool validate`: allocators at some loads, on a device and simulated, row by row."""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict, dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any, Protocol

from scenarios.cell import Cell
from scenarios.device import load_device
from scenarios.device_cell import ALLOCATORS
from scenarios.errors import UnknownNameError, UserError
from scenarios.machine import MachineOptions, machine_of
from scenarios.model_choice import choose_model
from scenarios.profile import load_profile
from scenarios.validation.comparison import Row
from scenarios.validation.kept import keep
from scenarios.validation.result import ValidationResult
from scenarios.validation.runs import Case, predict, repeat, run_guarded, run_on_device
from scenarios.validation.warm_up import warm_up
from scenarios.version import SCHEMA_VERSION, TWINPOOL_VERSION
from sim.metric import Slo
from traces.transform import scale_rate

if TYPE_CHECKING:
    from pathlib import Path

    from gpu_backend.rig import Rig
    from scenarios.machine import Machine
    from scenarios.model import Model
    from scenarios.profile import Profile
    from traces.record import Trace

KNOWN_BACKINGS = ("vmm", "torch")


@dataclass(frozen=True, slots=True)
class ValidateOptions:
    """What the user asks for, by names.

    Attributes:
        model: Name of the model.
        profile: Name or file of the measured costs.
        allocators: `NAME[:key=value,...]` each.
        backings: Kinds of device memory.
        loads: How many times faster than in the trace requests come, each.
        scheduler: `NAME[:key=value,...]`.
        machine: How the model lies on the device.
        seed: Seed of everything random in the trace.
    """

    model: str
    profile: str
    allocators: tuple[str, ...]
    backings: tuple[str, ...] = KNOWN_BACKINGS[:1]
    loads: tuple[float, ...] = (1.0,)
    scheduler: str = "fcfs"
    machine: MachineOptions = field(default_factory=MachineOptions)
    seed: int = 0


class Watcher(Protocol):
    """Is told how far a validation is."""

    def starts(self, stage: str, total: int) -> None:
        """So many pieces of a stage will come."""

    def advanced(self, pieces: int) -> None:
        """So many more are done."""


@dataclass(frozen=True, slots=True)
class Validation:
    """Everything that can be wrong with the options is found when this is made.

    Attributes:
        options: What the user asks for.
        model: The model.
        profile: Its measured costs.
        machine: Model and device, priced by the profile.
    """

    options: ValidateOptions
    model: Model
    profile: Profile
    machine: Machine

    @classmethod
    def of(cls, options: ValidateOptions) -> Validation:
        """Look up what is named.

        Raises:
            UserError: An unknown name or option, an impossible size, or an allocator whose pages
                the decoder's kernels cannot read.
        """
        for backing in options.backings:
            if backing not in KNOWN_BACKINGS:
                raise UnknownNameError("backing", backing, KNOWN_BACKINGS)
        model, profile = choose_model(options.model), load_profile(options.profile)
        machine = machine_of(model, load_device(profile.device), options.machine, profile)
        found = cls(options, model, profile, machine)
        for cell in found.cells():
            name = cell.allocator.partition(":")[0]
            cell.wire()
            if name not in ALLOCATORS:
                known = ", ".join(ALLOCATORS)
                raise UserError(f"the kernels cannot read the pages of {name}: use {known}")
        return found

    def cells(self) -> list[Cell]:
        """One cell an allocator."""
        options = self.options
        if not options.allocators:
            raise UserError("no allocator is given: name at least one with --allocator")
        return [Cell(self.machine, text, options.scheduler, Slo()) for text in options.allocators]

    def run(
        self, rig: Rig, trace: Trace, watcher: Watcher, folder: Path | None = None
    ) -> ValidationResult:
        """Run every allocator over every backing at every load; rows are kept as they come.

        Args:
            rig: The device with the model on it.
            trace: Requests with arrivals.
            watcher: Is told of progress.
            folder: Where the result so far and the steps of each row are kept.
        """
        started_s = time.perf_counter()
        facts, rows = self._facts(trace, rig), []
        grid = list(product(self.options.loads, self.cells(), self.options.backings))
        warm_up([Case(cell, trace, backing) for _, cell, backing in grid], rig)
        watcher.starts("rows", len(grid))
        for load, cell, backing in grid:
            loaded = trace if load == 1 else scale_rate(trace, load)
            row = validate_case(Case(cell, loaded, backing), load, rig)
            rows.append(row.to_json())
            facts["wall_seconds"] = time.perf_counter() - started_s
            if folder is not None:
                keep(ValidationResult(facts, tuple(rows)), row.measured.steps, folder)
            watcher.advanced(1)
        return ValidationResult(facts, tuple(rows))

    def _facts(self, trace: Trace, rig: Rig) -> dict[str, Any]:
        options = self.options
        described = repr((asdict(options), asdict(self.machine)))
        return {
            "schema_version": SCHEMA_VERSION,
            "twinpool_version": TWINPOOL_VERSION,
            "command": "validate",
            "seed": options.seed,
            "scenario_digest": hashlib.sha256(described.encode()).hexdigest(),
            "trace_digest": trace.digest(),
            "profile_digest": self.profile.digest,
            "model": options.model,
            "device": self.profile.device,
            "measured_on": rig.measured_on,
            "scheduler": options.scheduler,
            "trace": trace.name,
        }


def validate_case(case: Case, load: float, rig: Rig) -> Row:
    """Run one allocator on the device, in the simulator, and under guard."""
    measured = run_on_device(case, rig)
    rig.release_unused()
    row = Row(
        case=case,
        load=load,
        measured=measured,
        repeated=repeat(case, measured.steps),
        predicted=predict(case),
        guarded=run_guarded(case, rig, measured.steps),
    )
    rig.release_unused()
    return row
