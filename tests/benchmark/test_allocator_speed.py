"""What allocators cost the host, a page: it should not depend on how large the pools are.

Run with `pytest --benchmark-only tests/benchmark`; `ns_a_page` stands in the extra information.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from allocator.backing import DEFAULT_GRANULE_BYTES, HostBacking
from allocator.interface import OutOfMemoryError
from allocator.managers.avmp import AvmpManager, AvmpOptions
from allocator.registry import known_managers
from allocator.spec import CacheGroup, CacheKind, CacheSpec, align_up

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from allocator.interface import CacheManager

KIB, PAGE_TOKENS = 1 << 10, 16
PROMPT_TOKENS, NUM_GROWING, BATCH_GRANULES = 4096, 256, 128
# One KV page of 64 KiB a block, one state of 128 KiB a sequence.
SPEC = CacheSpec(
    (
        CacheGroup("kv", CacheKind.ATTENTION, 1, 4 * KIB),
        CacheGroup("ssm", CacheKind.STATE, 1, 128 * KIB),
    ),
    PAGE_TOKENS,
)
POOL_PAGES = (10_000, 100_000, 1_000_000)


def memory(num_pages: int) -> HostBacking:
    """So many KV pages in half of the budget, and no remainder that fills no span of 8."""
    return HostBacking(align_up(2 * num_pages * 64 * KIB, 16 * DEFAULT_GRANULE_BYTES))


def report(benchmark: BenchmarkFixture, num_pages: int) -> None:
    if benchmark.stats is not None:
        benchmark.extra_info["ns_a_page"] = round(benchmark.stats.stats.min * 1e9 / num_pages, 1)


@pytest.fixture(params=known_managers())
def manager_name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(params=POOL_PAGES, ids=lambda pages: f"{pages}-pages")
def manager(request: pytest.FixtureRequest, manager_name: str) -> CacheManager:
    """A manager half of whose KV pages are live, scattered by releases."""
    design = known_managers()[manager_name]
    made = design(SPEC, memory(request.param), design.Options())
    try:
        for sequence in range(1000, 1000 + request.param // 100):
            made.admit(sequence, 75 * PAGE_TOKENS)
            if sequence % 3 == 0:
                made.release(sequence)
    except OutOfMemoryError:
        pytest.skip("reserves greatest lengths, so memory holds too few sequences to compare")
    return made


@pytest.mark.benchmark(group="admit and release a prompt of 4,096 tokens")
def test_admit_and_release(benchmark: BenchmarkFixture, manager: CacheManager) -> None:
    def come_and_go() -> None:
        manager.admit(0, PROMPT_TOKENS)
        manager.release(0)

    benchmark(come_and_go)
    report(benchmark, PROMPT_TOKENS // PAGE_TOKENS + 1)
    manager.check_integrity()


@pytest.mark.benchmark(group="256 sequences grow by a page each")
def test_growth(benchmark: BenchmarkFixture, manager: CacheManager) -> None:
    for sequence in range(NUM_GROWING):
        manager.admit(sequence, PAGE_TOKENS)

    def grow() -> None:
        for sequence in range(NUM_GROWING):
            manager.extend(sequence, PAGE_TOKENS)

    benchmark.pedantic(grow, rounds=10)  # type: ignore[no-untyped-call]
    report(benchmark, NUM_GROWING)
    manager.check_integrity()


@pytest.mark.benchmark(group="migrate 128 granules")
@pytest.mark.parametrize("num_pages", POOL_PAGES)
def test_migration(benchmark: BenchmarkFixture, num_pages: int) -> None:
    def full_of_kv() -> tuple[tuple[AvmpManager], dict[str, int]]:
        manager = AvmpManager(SPEC, memory(num_pages), AvmpOptions(batch=BATCH_GRANULES))
        manager.admit(0, manager.usage().pools[0].num_pages * PAGE_TOKENS)
        return (manager,), {}

    def grow(manager: AvmpManager) -> None:
        manager.extend(0, PAGE_TOKENS)
        (move,) = manager.take_migrations()
        assert move.num_bytes == BATCH_GRANULES * manager.backing.granule_bytes

    benchmark.pedantic(grow, setup=full_of_kv, rounds=5)  # type: ignore[no-untyped-call]
    report(benchmark, BATCH_GRANULES * 2048 // 64)
