"""`twinpool calibrate`: a model on a device is measured over a grid of steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.spec import align_up
from scenarios.calibration import Subject, fitted_profile, measure_steps
from scenarios.cell import Cell
from scenarios.errors import UserError
from scenarios.host_cost import host_ns_per_op
from scenarios.step_bench import WARM_UP, StepBench
from sim.costs.profile import TERMS
from sim.metric import Slo
from traces.record import Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gpu_backend.calibrate import Reach
    from gpu_backend.rig import Rig
    from scenarios.machine import Machine
    from scenarios.profile import Profile

MAX_SEQUENCES = 260
MAX_STEP_TOKENS = 8192
MAX_SEQUENCE_TOKENS = 16_384
TRIALS = 5
MOST_STATE = 0.8
"""Share of the budget that states may take, so that there is room for tokens."""

STATE_SLACK = 1.02
"""For the rounding of pages and granules."""

HOST_COST_ALLOCATORS = ("static", "padded", "avmp")
HOST_COST_PROMPT, HOST_COST_OUTPUT = 1024, 128


@dataclass(frozen=True, slots=True)
class CalibrationSize:
    """How much is measured.

    Attributes:
        max_sequences: Sequences of a step.
        max_step_tokens: Tokens that a step computes.
        max_sequence_tokens: Tokens of one sequence.
        trials: Of each step, after its warm-up.
    """

    max_sequences: int = MAX_SEQUENCES
    max_step_tokens: int = MAX_STEP_TOKENS
    max_sequence_tokens: int = MAX_SEQUENCE_TOKENS
    trials: int = TRIALS

    @property
    def room_tokens(self) -> int:
        """Tokens that a sequence gains while its step is repeated, and those it feeds after."""
        return self.trials + WARM_UP + 1


@dataclass(frozen=True, slots=True)
class Bench:
    """A device with memory laid out for calibration.

    Attributes:
        rig: The device with the model on it.
        machine: Model and device.
        size: How much is measured.
        backing: Kind of memory.
    """

    rig: Rig
    machine: Machine
    size: CalibrationSize
    backing: str = "torch"

    def calibrate(
        self,
        subject: Subject,
        primitives: Mapping[str, Any],
        starts: Callable[[int], Callable[[int], None]],
    ) -> tuple[Profile, dict[str, Any]]:
        """Measure the grid and fit a profile; see `scenarios.calibration.fitted_profile`.

        Args:
            subject: What is measured.
            primitives: What memory calls cost on the device.
            starts: Is told how many steps will be measured, and returns who is told of each.
        """
        from gpu_backend.calibrate import designed_steps  # noqa: PLC0415 - with the GPU mode
        from gpu_backend.sequence_tables import Limits  # noqa: PLC0415 - the same

        size, machine = self.size, self.machine
        most_tokens = size.max_sequence_tokens + size.room_tokens
        limits = Limits(size.max_sequences, most_tokens, size.max_step_tokens)
        with self.rig.backing(self.backing, machine.budget_bytes, machine.granule_bytes) as backing:
            manager: Any = self._cell().manager_on(backing)
            self.rig.fill(backing, len(manager.usage().pools))
            executor = self.rig.executor(manager, backing, limits)
            shapes = designed_steps(self.reach())
            if len(shapes) < len(TERMS):
                raise UserError(f"memory holds {len(shapes)} steps of the grid: give it more")
            bench = StepBench(manager, executor, size.trials)
            rows = measure_steps(bench, shapes, starts(len(shapes)))
        profile, evidence = fitted_profile(subject, rows, primitives)
        return profile, evidence | {"host_ns_per_allocator_op": self.host_costs()}

    def reach(self) -> Reach:
        """How large steps may be: what the KV pool holds beside the states of all sequences."""
        from gpu_backend.calibrate import Reach  # noqa: PLC0415 - with the GPU mode

        spec, size = self.machine.spec, self.size
        kv_bytes = int(self.machine.budget_bytes * (1 - self._state_ratio()))
        rounding = size.max_sequences * (spec.page_tokens + size.room_tokens)
        held_tokens = kv_bytes // spec.bytes_per_token() - rounding
        sizes = (size.max_sequences, size.max_step_tokens, size.max_sequence_tokens)
        return Reach(*sizes, held_tokens)

    def host_costs(self) -> dict[str, float | None]:
        """Processor nanoseconds a call, by allocator, on this host."""
        prompt, output = (
            np.array([tokens], dtype=np.int64) for tokens in (HOST_COST_PROMPT, HOST_COST_OUTPUT)
        )
        trace = Trace("fixed", prompt, output)
        cells = {name: Cell(self.machine, name, "fcfs", Slo()) for name in HOST_COST_ALLOCATORS}
        return {name: host_ns_per_op(cell.build_manager, trace) for name, cell in cells.items()}

    def _state_ratio(self) -> float:
        """Share of the budget that holds the states of all sequences.

        Raises:
            UserError: If that leaves too little for tokens.
        """
        machine = self.machine
        state_bytes = self.size.max_sequences * machine.spec.bytes_per_sequence()
        if not state_bytes:
            return 0.0
        whole = align_up(int(STATE_SLACK * state_bytes), machine.granule_bytes)
        if whole > MOST_STATE * machine.budget_bytes:
            raise UserError(
                f"{self.size.max_sequences} sequences of this model leave too little of"
                f" {machine.budget_bytes / (1 << 30):.1f} GiB for tokens: calibrate on a larger"
                " device"
            )
        return whole / machine.budget_bytes

    def _cell(self) -> Cell:
        ratio = self._state_ratio()
        text = f"static:state_ratio={ratio}" if ratio else "static"
        return Cell(self.machine, text, "fcfs", Slo())
