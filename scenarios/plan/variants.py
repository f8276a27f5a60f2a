"""The same setup with one input changed, for how much the answer depends on it."""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sim.costs.profile import LaunchCosts
from sim.costs.roofline import RemapCosts

if TYPE_CHECKING:
    from collections.abc import Callable

    from scenarios.machine import Machine
    from scenarios.plan.task import Setup
    from sim.costs.profile import CostTable
    from sim.costs.roofline import DeviceCosts


@dataclass(frozen=True, slots=True)
class Input:
    """An input of a plan that nobody knows exactly.

    Attributes:
        name: What it is.
        change: Relative change that is tried in both directions.
        changed: The setup with the input times a factor.
    """

    name: str
    change: float
    changed: Callable[[Setup, float], Setup]

    def at(self, setup: Setup, sign: int) -> Setup:
        """The setup with the input changed in one direction."""
        factor = 1 + sign * self.change
        changed = self.changed(setup, factor)
        return replace(changed, variant=f"{self.name} {sign * 100 * self.change:+g} %")


def with_outputs(setup: Setup, factor: float) -> Setup:
    """Every output so many times as long, rounded, at least one token."""
    trace = setup.traffic.trace
    outputs = np.maximum(1, np.rint(trace.output_tokens * factor)).astype(np.int64)
    traffic = replace(setup.traffic, trace=replace(trace, output_tokens=outputs))
    return replace(setup, traffic=traffic)


def with_step_times(setup: Setup, factor: float) -> Setup:
    """Every step so many times as long."""
    return _on(setup, slower(setup.cell.machine, factor))


def with_memory(setup: Setup, factor: float) -> Setup:
    """So many times the cache budget, in whole granules."""
    machine = setup.cell.machine
    granules = max(1, round(machine.budget_bytes * factor / machine.granule_bytes))
    return _on(setup, replace(machine, budget_bytes=granules * machine.granule_bytes))


def slower(machine: Machine, factor: float) -> Machine:
    """The same machine with every duration of a step times a factor."""
    table = machine.cost_table
    return replace(
        machine,
        device_costs=_slower_device(machine.device_costs, factor),
        cost_table=None if table is None else _slower_table(table, factor),
    )


def _slower_device(costs: DeviceCosts, factor: float) -> DeviceCosts:
    return replace(
        costs,
        bytes_per_s=costs.bytes_per_s / factor,
        flops_per_s=costs.flops_per_s / factor,
        step_overhead_ns=costs.step_overhead_ns * factor,
        copy_ns=costs.copy_ns * factor,
        remap=_slower_remap(costs.remap, factor),
        remap_beside=_slower_remap(costs.remap_beside, factor),
    )


def _slower_table(table: CostTable, factor: float) -> CostTable:
    return replace(
        table,
        terms=tuple((name, ns * factor) for name, ns in table.terms),
        copy_ns=table.copy_ns * factor,
        copied_byte_ns=table.copied_byte_ns * factor,
        remap=_slower_remap(table.remap, factor),
        remap_beside=_slower_remap(table.remap_beside, factor),
        launch=LaunchCosts(*(ns * factor for ns in astuple(table.launch))),
    )


def _slower_remap(calls: RemapCosts, factor: float) -> RemapCosts:
    return RemapCosts(calls.batch_ns * factor, calls.unmap_ns * factor, calls.map_ns * factor)


INPUTS = (
    Input("output length", 0.2, with_outputs),
    Input("step times", 0.1, with_step_times),
    Input("cache memory", 0.05, with_memory),
)


def _on(setup: Setup, machine: Machine) -> Setup:
    return replace(setup, cell=replace(setup.cell, machine=machine))
