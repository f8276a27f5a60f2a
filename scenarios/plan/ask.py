"""What the user asks of a plan, and the setups that follow from it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from allocator.registry import known_managers
from scenarios.capacity.engines.sglang import SglangSettings
from scenarios.cell import ROUND_ROBIN, Cell
from scenarios.choice import choose
from scenarios.device import load_device
from scenarios.errors import UserError
from scenarios.machine import MachineOptions, machine_of
from scenarios.model_choice import choose_model
from scenarios.plan.cost import parse_prices
from scenarios.plan.objective import parse_objective
from scenarios.plan.task import NUM_SAMPLES, Setup
from scenarios.profile import load_profile
from sim.metric import Slo
from sim.preemptions.recompute import Recompute

if TYPE_CHECKING:
    from scenarios.machine import Machine
    from traces.loads import Traffic

STATIC = "static"
HALF = 0.5
FINEST = 0.001
"""Finer loads could not be told apart by any number of seeds that somebody would wait for."""


def sglang_ratio() -> float:
    """The share of memory that SGLang's default gives to states: r of 0.9 is states over KV."""
    ratio = SglangSettings().mamba_full_memory_ratio
    return round(ratio / (1 + ratio), 4)


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How carefully a plan looks.

    Attributes:
        seeds: Searches of each setup.
        tolerance: Loads are told apart by this share.
        requests_per_run: Requests of a run at the rate of saturation, about; 0 takes whole traces.
        has_sensitivity: Whether to repeat the search with changed inputs.
    """

    seeds: int = 3
    tolerance: float = 0.02
    requests_per_run: int = 10_000
    has_sensitivity: bool = True

    def __post_init__(self) -> None:
        if not FINEST <= self.tolerance <= 1:
            raise UserError(f"--tolerance must lie from {FINEST} to 1, not {self.tolerance:g}")


@dataclass(frozen=True, slots=True)
class PlanAsk:
    """What to plan, by names.

    Attributes:
        model: Name or file of the model.
        devices: Names of devices.
        allocators: `NAME[:key=value,...]` each.
        slo: `ttft_p99=2s,...`.
        scheduler: `NAME[:key=value,...]`.
        machine: How the model lies on devices.
        preemption: `NAME[:key=value,...]`: where the tokens of victims go.
        profile: Name or file of measured costs; None prices steps from the device's rates.
        router: `NAME[:key=value,...]`; chooses among the replicas of a fleet.
        ratios: Shares of memory for states at which `static` is tried too.
        target_rps: Requests a second to serve with several devices; None asks for none.
        prices: `2.5` or `NAME=2.5` each, a device-hour.
        accuracy: How carefully to look.
        seed: The first seed.
    """

    model: str
    devices: tuple[str, ...]
    allocators: tuple[str, ...]
    slo: str
    scheduler: str = "fcfs"
    machine: MachineOptions = field(default_factory=MachineOptions)
    preemption: str = Recompute.name
    profile: str | None = None
    router: str = ROUND_ROBIN
    ratios: tuple[float, ...] = ()
    target_rps: float | None = None
    prices: tuple[str, ...] = ()
    accuracy: Accuracy = field(default_factory=Accuracy)
    seed: int = 0

    def __post_init__(self) -> None:
        for kind, names in (("device", self.devices), ("allocator", self.allocators)):
            if not names:
                raise UserError(f"no {kind} is given: name at least one with --{kind}")
            if len(set(names)) < len(names):
                raise UserError(f"--{kind} names something twice: give each once")
        if self.target_rps is not None and not 0 < self.target_rps < float("inf"):
            raise UserError(f"--target-rps must be above 0, not {self.target_rps:g}")
        for ratio in self.ratios:
            if not 0 < ratio < 1:
                raise UserError(f"--ratios must lie between 0 and 1, not {ratio:g}")

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of what is asked."""
        return hashlib.sha256(repr(self).encode()).hexdigest()

    @property
    def seeds(self) -> range:
        """Every seed."""
        return range(self.seed, self.seed + self.accuracy.seeds)

    def price_of(self, device: str) -> float | None:
        """Price of a device-hour, if it is given."""
        return parse_prices(self.prices, self.devices).get(device)

    def all_allocators(self) -> tuple[str, ...]:
        """Those named, then `static` at each ratio; a half and SGLang's split go with them."""
        extra = {*self.ratios, HALF, sglang_ratio()} if self.ratios else ()
        named = {state_ratio_of(allocator) for allocator in self.allocators}
        static = (static_at(ratio) for ratio in sorted(extra) if ratio not in named)
        return tuple(dict.fromkeys((*self.allocators, *static)))

    def setups(self, traffic: Traffic) -> list[Setup]:
        """One a device and allocator; whatever the user can get wrong is found here.

        Raises:
            UserError: An unknown name or option, an impossible size, a wrong objective or price.
        """
        parse_prices(self.prices, self.devices)
        terms, model = parse_objective(self.slo), choose_model(self.model)
        profile = None if self.profile is None else load_profile(self.profile)
        setups = []
        for name in self.devices:
            machine = machine_of(model, load_device(name), self.machine, profile)
            for allocator in self.all_allocators():
                cell = self._cell(machine, allocator)
                cell.wire()
                setups.append(Setup(name, "", cell, traffic, terms))
        return setups

    def _cell(self, machine: Machine, allocator: str) -> Cell:
        return Cell(
            machine,
            allocator,
            self.scheduler,
            Slo(),
            num_samples=NUM_SAMPLES,
            preemption=self.preemption,
            router=self.router,
        )


def static_at(ratio: float) -> str:
    """The allocator `static` with a share of memory for states."""
    return f"{STATIC}:state_ratio={ratio:g}"


def state_ratio_of(allocator: str) -> float | None:
    """The share of memory for states of `static`; None for any other allocator."""
    choice = choose("allocator", allocator, known_managers())
    return float(choice.options.state_ratio) if choice.design.name == STATIC else None
