"""What allocators cost the host, a page: it should not depend on how large the pools are.

Run with `pytest --benchmark-only tests/benchmark`; `ns_a_page` stands in the extra information.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from allocator.backing import DEFAULT_GRANULE_BYTES, HostBacking
from allocator.interface import OutOfMemoryError
from allocator.managers.avmp import AvmpManager, AvmpOptions
from allocator.pooled import PooledManager
from allocator.registry import known_managers
from allocator.spec import CacheGroup, CacheKind, CacheSpec, Granularity, align_up

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from allocator.interface import CacheManager

KIB, PAGE_TOKENS = 1 << 10, 16
PROMPT_TOKENS, NUM_GROWING, BATCH_GRANULES = 4096, 256, 128
HISTORY_TOKENS = 75 * PAGE_TOKENS
# One KV page of 64 KiB a block, one state of 128 KiB a sequence.
SPEC = CacheSpec(
    (
        CacheGroup("kv", CacheKind.ATTENTION, 1, 4 * KIB),
        CacheGroup("ssm", CacheKind.STATE, 1, 128 * KIB),
    ),
    PAGE_TOKENS,
)
# Pages of a layer: 4 of 64 KiB a block, 24 of 4,255,744 bytes a sequence.
NEMOTRON_H_8B = CacheSpec(
    (
        CacheGroup("attention", CacheKind.ATTENTION, 4, 4 * KIB),
        CacheGroup("state", CacheKind.STATE, 24, 4_255_744),
    ),
    PAGE_TOKENS,
)
SPECS = {"one-layer": SPEC, "nemotron-h-8b": NEMOTRON_H_8B}
POOL_PAGES = (10_000, 100_000, 1_000_000)


def memory(num_pages: int) -> HostBacking:
    """So many KV pages of 64 KiB in half of the budget, which is a multiple of 16 granules."""
    return HostBacking(align_up(2 * num_pages * 64 * KIB, 16 * DEFAULT_GRANULE_BYTES))


def report(benchmark: BenchmarkFixture, num_pages: int) -> None:
    if benchmark.stats is not None:
        benchmark.extra_info["ns_a_page"] = round(benchmark.stats.stats.min * 1e9 / num_pages, 1)


def look(manager: CacheManager) -> None:
    """Places are worked out when somebody looks; here that is part of every call's cost."""
    if isinstance(manager, PooledManager):
        manager._register.settle()  # noqa: SLF001 - a block table would cost its handles beside


def check_if_small(manager: CacheManager, num_pages: int) -> None:
    """Checking a million pages takes minutes; the same code has served the small pools."""
    if num_pages == min(POOL_PAGES):
        manager.check_integrity()


@pytest.fixture(params=known_managers())
def manager_name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


def history(spec: CacheSpec, backing: HostBacking) -> int:
    """Sequences of 1,200 tokens that fill three eighths of memory."""
    each = spec.bytes_per_sequence() + HISTORY_TOKENS * spec.bytes_per_token()
    return backing.num_granules * backing.granule_bytes * 3 // 8 // each


def scattered(name: str, spec: CacheSpec, num_pages: int) -> CacheManager:
    """A manager in pages of a layer a quarter of whose bytes are live, scattered by releases."""
    design, backing = known_managers()[name], memory(num_pages)
    options = design.Options()
    if hasattr(options, "granularity"):
        options = replace(options, granularity=Granularity.LAYER)
    made = design(spec, backing, options)
    try:
        for sequence in range(1000, 1000 + history(spec, backing)):
            made.admit(sequence, HISTORY_TOKENS)
            if sequence % 3 == 0:
                made.release(sequence)
        made.admit(0, PROMPT_TOKENS)
        made.release(0)
    except OutOfMemoryError:
        pytest.skip("pads or reserves so much that memory holds too few sequences to compare")
    look(made)
    return made


@pytest.fixture(params=POOL_PAGES, ids=lambda pages: f"{pages}-pages")
def num_pages(request: pytest.FixtureRequest) -> int:
    found: int = request.param
    return found


@pytest.fixture
def manager(manager_name: str, num_pages: int) -> CacheManager:
    return scattered(manager_name, SPEC, num_pages)


@pytest.mark.benchmark(group="admit and release a prompt of 4,096 tokens")
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_admit_and_release(
    benchmark: BenchmarkFixture, manager_name: str, num_pages: int, spec: CacheSpec
) -> None:
    manager = scattered(manager_name, spec, num_pages)

    def come_and_go() -> None:
        manager.admit(0, PROMPT_TOKENS)
        manager.release(0)
        look(manager)

    benchmark(come_and_go)
    kv, state = spec.groups
    report(benchmark, PROMPT_TOKENS // PAGE_TOKENS * kv.num_layers + state.num_layers)
    check_if_small(manager, num_pages)


@pytest.mark.benchmark(group="256 sequences grow by a page each")
def test_growth(benchmark: BenchmarkFixture, manager: CacheManager, num_pages: int) -> None:
    for sequence in range(NUM_GROWING):
        manager.admit(sequence, PAGE_TOKENS)

    def grow() -> None:
        for sequence in range(NUM_GROWING):
            manager.extend(sequence, PAGE_TOKENS)
        look(manager)

    benchmark.pedantic(grow, rounds=10)  # type: ignore[no-untyped-call]
    report(benchmark, NUM_GROWING)
    check_if_small(manager, num_pages)


@pytest.mark.benchmark(group="256 sequences grow by a page each in one call")
def test_growth_of_a_batch(
    benchmark: BenchmarkFixture, manager: CacheManager, num_pages: int
) -> None:
    for sequence in range(NUM_GROWING):
        manager.admit(sequence, PAGE_TOKENS)
    sequences = range(NUM_GROWING)

    def grow() -> None:
        manager.extend_all(sequences, PAGE_TOKENS)
        look(manager)

    benchmark.pedantic(grow, rounds=10)  # type: ignore[no-untyped-call]
    report(benchmark, NUM_GROWING)
    check_if_small(manager, num_pages)


@pytest.mark.benchmark(group="migrate 128 granules")
@pytest.mark.parametrize("unit", [1, 64])
def test_migration(benchmark: BenchmarkFixture, num_pages: int, unit: int) -> None:
    options = AvmpOptions(batch=BATCH_GRANULES, unit=unit)

    def full_of_kv() -> tuple[tuple[AvmpManager], dict[str, int]]:
        manager = AvmpManager(SPEC, memory(num_pages), options)
        manager.admit(0, manager.usage().pools[0].num_pages * PAGE_TOKENS)
        return (manager,), {}

    def grow(manager: AvmpManager) -> None:
        manager.extend(0, PAGE_TOKENS)
        (move,) = manager.take_migrations()
        assert move.num_bytes == BATCH_GRANULES * manager.backing.granule_bytes

    benchmark.pedantic(grow, setup=full_of_kv, rounds=5)  # type: ignore[no-untyped-call]
    report(benchmark, BATCH_GRANULES * 2048 // 64)
