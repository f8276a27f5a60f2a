"""A cell whose steps run on a device instead of being priced."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.pooled import PooledManager
from allocator.registry import known_managers
from scenarios.choice import choose
from scenarios.errors import UserError
from sim.preemptions.recompute import Recompute

if TYPE_CHECKING:
    from gpu_backend.byte_backing import ByteBacking
    from gpu_backend.decoder import Decoder
    from gpu_backend.executor import DeviceExecutor
    from gpu_backend.sequence_tables import Limits
    from scenarios.cell import Cell
    from sim.engine import Wiring

ALLOCATORS = ("avmp", "padded", "static")
"""Those whose pages lie end to end in the slab of their pool, which is where kernels look."""


def wire_on_device(
    cell: Cell, decoder: Decoder, backing: ByteBacking, limits: Limits
) -> tuple[Wiring, DeviceExecutor]:
    """The parts of an engine whose steps a decoder computes; needs torch.

    Engine, scheduler and allocator are those of a simulation of the same cell. `MacroStepEngine`
    takes every step by itself, since such an executor does not know a step's duration before it
    has run it.

    Args:
        cell: What to run.
        decoder: Of the cell's model.
        backing: Fresh, with the cell's budget and granules; it holds the caches.
        limits: What the cell's scheduler and trace ask for at most.

    Raises:
        UserError: As `Cell.wire`, and if the allocator's pages or the preemption are not for
            devices.
    """
    from gpu_backend.executor import DeviceExecutor  # noqa: PLC0415 - only the GPU mode needs torch

    design = choose("allocator", cell.allocator, known_managers()).design
    if design.name not in ALLOCATORS:
        raise UserError(f"{design.name} cannot run on a device: use {', '.join(ALLOCATORS)}")
    if cell.preemption != Recompute.name:
        raise UserError(f"{cell.preemption} cannot run on a device: use {Recompute.name}")
    manager = cell.manager_on(backing)
    if not isinstance(manager, PooledManager):
        raise TypeError(f"{manager.name} holds no pages of pools")
    executor = DeviceExecutor(decoder, manager, backing, limits)
    return cell.wire_with(manager, executor, Recompute()), executor
