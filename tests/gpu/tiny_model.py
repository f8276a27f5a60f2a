"""A hybrid model small enough for the host, its machine, and a device whose clock is made up."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpu_backend.rig import Rig
from scenarios.decoder import decoder_shape_of
from scenarios.device import load_device
from scenarios.machine import Machine, MachineOptions, machine_of
from scenarios.model_file import read_model

if TYPE_CHECKING:
    from gpu_backend.byte_backing import ByteBacking
    from gpu_backend.decoder_caches import SizedManager
    from gpu_backend.sequence_tables import Limits
    from scenarios.model import Model
    from sim.step import StepExecutor, StepPlan

FILE = Path(__file__).parent / "tiny-hybrid.toml"
OPTIONS = MachineOptions(memory_gib=0.25)


def tiny_model() -> Model:
    return read_model(FILE)


def tiny_machine() -> Machine:
    return machine_of(tiny_model(), load_device("h200"), OPTIONS)


@dataclass(frozen=True, slots=True)
class _Paced:
    """Really runs steps, and says that each took what prices say, and some more."""

    runs: StepExecutor
    prices: StepExecutor
    factor: float

    def execute(self, plan: StepPlan) -> int:
        assert self.runs.execute(plan) >= 1
        return round(self.factor * self.prices.execute(plan))


@dataclass(frozen=True, slots=True)
class PacedRig(Rig):
    """A rig on the host whose steps take the time of a cost model, times a factor."""

    prices: Any = None
    factor: float = 1.0

    def executor(self, manager: SizedManager, backing: ByteBacking, limits: Limits) -> StepExecutor:
        runs = Rig.executor(self, manager, backing, limits)
        return _Paced(runs, self.prices, self.factor)


def paced_rig(
    prices: StepExecutor, factor: float = 1.0, options: MachineOptions = OPTIONS
) -> PacedRig:
    plain = Rig.on_host(decoder_shape_of(tiny_model(), options))
    parts = {field.name: getattr(plain, field.name) for field in fields(plain)}
    return PacedRig(**parts, prices=prices, factor=factor)
