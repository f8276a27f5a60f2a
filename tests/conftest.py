"""What tests of every kind share: hypothesis profiles, cache specs, and managers to try them on."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace
from enum import Enum
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from allocator.backing import HostBacking
from allocator.pooled import PooledManager
from allocator.registry import known_managers
from allocator.spec import CacheGroup, CacheKind, CacheSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from allocator.backing import Backing
    from allocator.interface import CacheManager
    from gpu_backend.byte_backing import ByteBacking

settings.register_profile(
    "ci",
    deadline=None,  # shared runners pause at will
    derandomize=True,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", parent=settings.get_profile("ci"), max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

GRANULE_BYTES = 1024

SMALLEST_AMOUNTS = {"max_tokens": 32}
"""Where 1 would refuse nearly every call of the tests: a sequence has at most so many tokens."""


@dataclass(frozen=True)
class MemoryCase:
    """A model's caches and a budget that a few sequences exhaust."""

    name: str
    spec: CacheSpec
    num_granules: int

    @property
    def budget_bytes(self) -> int:
        return self.num_granules * GRANULE_BYTES

    def needed_bytes(self, lengths: list[int]) -> int:
        """Bytes that sequences of these lengths need, from the definition."""
        total = 0
        for group in self.spec.groups:
            units = sum(lengths) if group.kind is CacheKind.ATTENTION else len(lengths)
            total += units * group.num_layers * group.layer_bytes
        return total


@dataclass(frozen=True)
class Design:
    """A manager with one choice of its options."""

    manager: type[CacheManager]
    options: Any

    def __str__(self) -> str:
        chosen = {field.name: getattr(self.options, field.name) for field in fields(self.options)}
        defaults = self.manager.Options()
        words = [
            f"{name}={value.value if isinstance(value, Enum) else value}"
            for name, value in chosen.items()
            if value != getattr(defaults, name)
        ]
        return ":".join([self.manager.name, *words])

    def build(self, spec: CacheSpec, backing: Backing) -> CacheManager:
        return self.manager.build(spec, backing, self.options)


def attention(name: str, num_layers: int, layer_bytes: int) -> CacheGroup:
    return CacheGroup(name, CacheKind.ATTENTION, num_layers, layer_bytes)


def state(name: str, num_layers: int, layer_bytes: int) -> CacheGroup:
    return CacheGroup(name, CacheKind.STATE, num_layers, layer_bytes)


MEMORY_CASES = (
    MemoryCase("state-light", CacheSpec((attention("kv", 2, 32), state("ssm", 3, 80)), 4), 40),
    MemoryCase("state-heavy", CacheSpec((attention("kv", 1, 16), state("ssm", 6, 512)), 4), 60),
    MemoryCase("attention-only", CacheSpec((attention("kv", 4, 24),), 4), 24),
    MemoryCase("state-only", CacheSpec((state("ssm", 5, 200),), 4), 16),
    MemoryCase(
        "many-groups",
        CacheSpec(
            (
                attention("global", 2, 48),
                state("conv", 4, 36),
                attention("local", 5, 20),
                state("ssm", 2, 144),
            ),
            4,
        ),
        64,
    ),
    MemoryCase("odd-pages", CacheSpec((attention("kv", 3, 27), state("ssm", 2, 1500)), 5), 100),
)


def host_memory(case: MemoryCase) -> HostBacking:
    """Accounting for the budget of a case."""
    return HostBacking(case.budget_bytes, GRANULE_BYTES)


BACKINGS: dict[str, Callable[[MemoryCase], Backing]] = {"host": host_memory}


def every_design() -> Iterator[Design]:
    """Each registered manager with its defaults, other choices, and smallest amounts."""
    for manager in known_managers().values():
        defaults = manager.Options()
        yield Design(manager, defaults)
        amounts = [f.name for f in fields(defaults) if type(getattr(defaults, f.name)) is int]
        if amounts:
            smallest = {name: SMALLEST_AMOUNTS.get(name, 1) for name in amounts}
            yield Design(manager, replace(defaults, **smallest))
        for field in fields(defaults):
            default = getattr(defaults, field.name)
            for value in type(default) if isinstance(default, Enum) else ():
                if value is not default:
                    yield Design(manager, replace(defaults, **{field.name: value}))


@pytest.fixture(params=every_design(), ids=str)
def design(request: pytest.FixtureRequest) -> Design:
    """Every registered manager, in every one of its choices."""
    found: Design = request.param
    return found


@pytest.fixture(params=MEMORY_CASES, ids=lambda case: case.name)
def memory_case(request: pytest.FixtureRequest) -> MemoryCase:
    """Models whose caches differ in what matters to an allocator."""
    found: MemoryCase = request.param
    return found


@pytest.fixture(params=BACKINGS)
def new_manager(
    request: pytest.FixtureRequest, design: Design, memory_case: MemoryCase
) -> Callable[[], CacheManager]:
    """Every design, for every model, over every backing that needs no device; fresh each time."""
    new_backing = BACKINGS[request.param]
    return lambda: design.build(memory_case.spec, new_backing(memory_case))


@pytest.fixture
def manager(new_manager: Callable[[], CacheManager]) -> CacheManager:
    """A manager of each kind that `new_manager` makes."""
    return new_manager()


def gives_pages(design: Design) -> bool:
    """Whether a design draws pages from pools; an option may ask for another manager."""
    case = MEMORY_CASES[0]
    return isinstance(design.build(case.spec, host_memory(case)), PooledManager)


@pytest.fixture(params=[d for d in every_design() if gives_pages(d)], ids=str)
def paged_design(request: pytest.FixtureRequest) -> Design:
    """Every registered manager that hands out pages, in every one of its choices."""
    found: Design = request.param
    return found


@pytest.fixture
def paged_manager(paged_design: Design, memory_case: MemoryCase) -> PooledManager:
    """Every manager of pages, for every model."""
    manager = paged_design.build(memory_case.spec, host_memory(memory_case))
    assert isinstance(manager, PooledManager)
    return manager


@pytest.fixture
def new_bound(memory_case: MemoryCase) -> Callable[[], CacheManager]:
    """The manager that no other can beat, for every model; fresh each time."""
    design = known_managers()["shared-bytes"]
    return lambda: design(memory_case.spec, host_memory(memory_case), design.Options())


@pytest.fixture
def host_memory_for() -> Callable[[MemoryCase], HostBacking]:
    """Accounting for the budget of a case."""
    return host_memory


@pytest.fixture
def host_backing() -> Callable[[int], HostBacking]:
    """Accounting for so many granules of 1 KiB."""
    return lambda num_granules: HostBacking(num_granules * GRANULE_BYTES, GRANULE_BYTES)


def torch_memory(case: MemoryCase) -> ByteBacking:
    """Torch slabs on the host."""
    from gpu_backend.torch_backing import TorchBacking  # noqa: PLC0415 - it needs torch

    return TorchBacking(case.budget_bytes, GRANULE_BYTES)


def virtual_memory(case: MemoryCase) -> ByteBacking:
    """Virtual memory of the host, really mapped and unmapped, in granules of its page size."""
    from gpu_backend.host_driver import HostDriver  # noqa: PLC0415 - it needs torch
    from gpu_backend.vmm_backing import VmmBacking  # noqa: PLC0415 - the same

    return VmmBacking(case.budget_bytes, HostDriver())


@pytest.fixture(params=[torch_memory, virtual_memory], ids=["torch", "vmm"])
def new_memory(request: pytest.FixtureRequest) -> Callable[[MemoryCase], ByteBacking]:
    """Every backing that holds bytes and needs no device."""
    if find_spec("torch") is None:
        pytest.skip("torch is not installed")
    found: Callable[[MemoryCase], ByteBacking] = request.param
    return found


@pytest.fixture(params=["many-groups", "odd-pages"])
def byte_case(request: pytest.FixtureRequest) -> MemoryCase:
    """Two of the models: each call costs batched operations on their pages."""
    return next(case for case in MEMORY_CASES if case.name == request.param)
