"""What a device leaves for caches: every term, and how far each may be off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scenarios.capacity.quantization import weight_bytes_range
from scenarios.errors import UserError
from scenarios.machine import GIB
from scenarios.model import AUTO

if TYPE_CHECKING:
    from scenarios.device import Device
    from scenarios.model import Model


@dataclass(frozen=True, slots=True)
class Term:
    """One term of the budget.

    Attributes:
        name: What it is.
        size_bytes: The value that is used.
        least_bytes: The least that it may be.
        most_bytes: The most that it may be.
        source: Where it comes from.
    """

    name: str
    size_bytes: int
    least_bytes: int
    most_bytes: int
    source: str


@dataclass(frozen=True, slots=True)
class Budget:
    """Memory for caches on one device.

    Attributes:
        available_bytes: What engines are given.
        least_bytes: What it would be if every uncertain term were at its most.
        most_bytes: What it would be if every uncertain term were at its least.
        memory_bytes: Memory of the device; None where the budget itself was given.
        unused_bytes: What the engine's utilisation leaves alone.
        terms: What lies beside the caches.
    """

    available_bytes: int
    least_bytes: int
    most_bytes: int
    memory_bytes: int | None
    unused_bytes: int
    terms: tuple[Term, ...]


MOST_GIB = 10**6
"""A petabyte: no device has it, and figures stay below 2**63."""


@dataclass(frozen=True, slots=True)
class BudgetOptions:
    """How the budget is found.

    Attributes:
        memory_gib: The budget itself; None derives it from the device.
        utilization: Share of the memory that the engine uses; None for the device's default.
        tp: Devices that share the model.
        quantization: How the weights are stored; `auto` as the checkpoint says.
    """

    memory_gib: float | None = None
    utilization: float | None = None
    tp: int = 1
    quantization: str = AUTO


def budget_of(model: Model, device: Device | None, options: BudgetOptions) -> Budget:
    """The memory for caches: given, or utilisation x memory - weights - overhead.

    Raises:
        UserError: Neither a device nor a budget is given, or nothing is left.
    """
    if options.memory_gib is not None:
        return _given(options.memory_gib)
    if device is None:
        raise UserError("say how much memory there is: --device NAME, or --memory-gib X")
    usable = _usable_bytes(device, options)
    terms = (_weights(model, options), _overhead(device))
    available = usable - sum(term.size_bytes for term in terms)
    if available <= 0:
        raise UserError(_too_small(model, device, terms, usable))
    return Budget(
        available,
        max(0, usable - sum(term.most_bytes for term in terms)),
        usable - sum(term.least_bytes for term in terms),
        device.memory.size_bytes,
        device.memory.size_bytes - usable,
        terms,
    )


def _given(memory_gib: float) -> Budget:
    if not 0 < memory_gib <= MOST_GIB or int(memory_gib * GIB) < 1:
        raise UserError(f"--memory-gib must be above 0, up to {MOST_GIB:,}, not {memory_gib:g}")
    available = int(memory_gib * GIB)
    return Budget(available, available, available, None, 0, ())


def _usable_bytes(device: Device, options: BudgetOptions) -> int:
    utilization = options.utilization
    if utilization is None:
        utilization = device.engine.utilization_fraction
    if not 0 < utilization <= 1:
        raise UserError(f"--gpu-memory-utilization must lie in (0, 1], not {utilization:g}")
    return int(device.memory.size_bytes * utilization)


def _weights(model: Model, options: BudgetOptions) -> Term:
    stored = model.body.quantization if options.quantization == AUTO else options.quantization
    least, most, source = weight_bytes_range(model, stored, options.tp)
    return Term("weights", most, least, most, source)


def _overhead(device: Device) -> Term:
    engine = device.engine
    return Term(
        "activations, graphs and context",
        engine.overhead_bytes,
        engine.overhead_least_bytes,
        engine.overhead_most_bytes,
        "an estimate of the device file, not a measurement of this model",
    )


def _too_small(model: Model, device: Device, terms: tuple[Term, ...], usable: int) -> str:
    parts = " and ".join(f"{term.size_bytes / GIB:.2f} GiB of {term.name}" for term in terms)
    return (
        f"{model.name} does not fit {device.name}: {parts} exceed the usable"
        f" {usable / GIB:.2f} GiB, so take a larger device, a higher --tp, --quantization, or"
        " state the cache with --memory-gib"
    )
