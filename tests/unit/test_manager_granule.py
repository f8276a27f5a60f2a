from collections.abc import Callable

import pytest

from allocator.backing import BackingCounters, HostBacking
from allocator.interface import Migration, OutOfMemoryError
from allocator.managers.granule import (
    Cell,
    GranuleManager,
    GranuleOptions,
    cell_bytes,
    span_geometry,
)
from allocator.spec import CacheGroup, CacheKind, CacheSpec, Granularity

MakeBacking = Callable[[int], HostBacking]
MIB = 1 << 20
KV = CacheGroup("kv", CacheKind.ATTENTION, 2, 64)  # pages of 512 bytes, two a granule
SSM = CacheGroup("ssm", CacheKind.STATE, 2, 512)  # pages of 1,024 bytes, one a granule
SPEC = CacheSpec((KV, SSM), page_tokens=4)


def reserving(least: int, most: int) -> GranuleOptions:
    return GranuleOptions(reserve_min=least, reserve_max=most)


def test_nothing_is_mapped_before_it_is_needed_nor_after(host_backing: MakeBacking) -> None:
    manager = GranuleManager(SPEC, host_backing(10), reserving(0, 0))
    manager.prepare(100)
    assert manager.usage().footprint_bytes == 0
    assert manager.usage().reserve_bytes == 10 * 1024
    manager.admit(0, 9)  # 3 KV pages in 2 granules, 1 state in another
    assert manager.backing.counters() == BackingCounters(maps=3, mapped_granules=3)
    assert manager.usage().footprint_bytes == 3 * 1024
    manager.release(0)
    assert manager.backing.counters() == BackingCounters(maps=3, mapped_granules=3)
    manager.prepare(0)
    assert manager.backing.counters() == BackingCounters(3, 3, 3, 3)
    assert manager.usage().footprint_bytes == 0


def test_a_reserve_is_mapped_beside_a_step_and_cut_beside_one(host_backing: MakeBacking) -> None:
    manager = GranuleManager(SPEC, host_backing(10), reserving(1, 2))
    manager.admit(0, 9)
    assert manager.backing.counters().maps == 2 + 1
    manager.prepare(0)
    assert manager.backing.counters().maps == (2 + 1) + (1 + 1)
    manager.prepare(0)
    manager.extend(0, 15)  # 6 KV pages fit the 3 spans that are mapped
    assert manager.backing.counters().maps == 5
    manager.prepare(0)
    assert manager.backing.counters().maps == 6
    manager.release(0)  # 4 empty KV spans; 2 of states
    assert manager.backing.counters().unmaps == 0
    manager.prepare(0)  # nobody uses a pool, so that nothing is filled up either
    assert manager.backing.counters() == BackingCounters(6, 2, 6, 2)
    assert [pool.num_pages for pool in manager.usage().pools] == [4, 2]
    assert manager.take_migrations() == []


def test_a_reserve_takes_what_is_left_and_no_more(host_backing: MakeBacking) -> None:
    """Two granules are in use; of eight the reserve of KV gets five and that of states three."""
    manager = GranuleManager(SPEC, host_backing(10), reserving(5, 10))
    manager.admit(0, 4)
    manager.prepare(0)
    assert [pool.num_pages for pool in manager.usage().pools] == [(1 + 5) * 2, 1 + 3]
    assert manager.backing.num_free_granules == 0
    manager.check_integrity()


def test_what_is_cut_from_one_reserve_fills_another(host_backing: MakeBacking) -> None:
    """All ten are in use; then KV has seven empty, of which five go, and states get a second."""
    manager = GranuleManager(SPEC, host_backing(10), reserving(2, 2))
    manager.admit(0, 60)
    manager.admit(1, 1)
    manager.release(0)
    assert manager.backing.num_free_granules == 0
    manager.prepare(0)
    kv, state = manager.usage().pools
    assert (kv.num_pages, kv.num_live, state.num_pages, state.num_live) == (6, 1, 3, 1)
    assert manager.backing.num_free_granules == 4
    manager.check_integrity()


def test_the_reserve_of_the_other_pool_goes_when_memory_is_short(
    host_backing: MakeBacking,
) -> None:
    manager = GranuleManager(SPEC, host_backing(10), reserving(0, 10))
    manager.admit(0, 64)  # 8 spans of KV, 1 of state; the tenth granule stays unmapped
    manager.release(0)
    manager.admit(1, 4)
    manager.admit(2, 4)
    assert manager.take_migrations() == []
    manager.admit(3, 4)
    assert manager.take_migrations() == [Migration(donor=0, recipient=1, num_bytes=1024)]
    manager.check_integrity()


def test_what_is_short_says_what_it_could_have_had(host_backing: MakeBacking) -> None:
    manager = GranuleManager(SPEC, host_backing(10), reserving(0, 0))
    manager.admit(0, 4)
    # 8 granules are unmapped; a state takes one of them, the others hold 14 pages beside one free.
    with pytest.raises(OutOfMemoryError, match="pool kv: 16 asked, 1 free, 15 at most") as caught:
        manager.admit(1, 64)
    assert not caught.value.migration_blocked
    manager.admit(1, 60)
    manager.check_integrity()


def test_free_pages_in_spans_that_are_in_use_block_a_migration(host_backing: MakeBacking) -> None:
    """Two sequences grow in turn and share every span; when one ends, no span becomes empty."""
    manager = GranuleManager(SPEC, host_backing(6), reserving(0, 0))
    for sequence in range(2):
        manager.admit(sequence, 4)
    for _ in range(3):
        for sequence in range(2):
            manager.extend(sequence, 4)
    manager.release(1)
    manager.admit(2, 4)
    with pytest.raises(OutOfMemoryError, match="pool state: 1 asked, 0 free, 0 at most") as caught:
        manager.admit(3, 4)
    assert caught.value.migration_blocked


def test_the_longest_sequence_has_all_spans_but_its_state(host_backing: MakeBacking) -> None:
    assert GranuleManager(SPEC, host_backing(10), GranuleOptions()).max_sequence_tokens == 18 * 4


def test_a_span_wastes_little_where_memory_allows() -> None:
    """A state of Nemotron-H-8B is 48.7 granules: 49 in a span. Qwen3.5-9B: 3 states in 74."""
    backing, options = HostBacking(40 << 30), GranuleOptions()
    nemotron = span_geometry(24 * 4_255_744, backing, options)
    assert (nemotron.pages_per_span, nemotron.granules_per_span) == (1, 49)
    qwen = span_geometry(24 * 2_146_304, backing, options)
    assert (qwen.pages_per_span, qwen.granules_per_span) == (3, 74)
    small = span_geometry(24 * 2_146_304, HostBacking(1000 * 2 * MIB), options)
    assert (small.pages_per_span, small.granules_per_span) == (1, 25)  # 16 x 74 are too many


@pytest.mark.parametrize(
    ("page", "span", "cell"),
    [
        (2_146_304, 4 * MIB, 4 * MIB),  # K01
        (65_536, 2 * MIB, 65_536),
        (65_537, 2 * MIB, 131_072),
        (240, 1024, 256),
        (1024, 3 * 1024, 1024),
        (500, 3 * 1024, 512),
    ],
)
def test_a_cell_is_the_smallest_divisor_that_holds_a_page(page: int, span: int, cell: int) -> None:
    assert cell_bytes(page, span) == cell


def test_kvcached_pads_a_state_of_qwen_to_4_mib() -> None:
    """K01: 24 layers x 2 slots x 4 MiB = 192 MiB, 0.09 GiB of it waste."""
    spec = CacheSpec((CacheGroup("ssm", CacheKind.STATE, 24, 2_146_304),))
    options = GranuleOptions(0, 0, 2, Cell.DIVISOR, Granularity.LAYER)
    manager = GranuleManager(spec, HostBacking(1 << 30), options)
    manager.admit(0, 1)
    manager.admit(1, 1)
    usage = manager.usage()
    assert usage.footprint_bytes == 192 * MIB
    assert usage.internal_waste_bytes == 48 * (4 * MIB - 2_146_304)
    assert round(usage.internal_waste_bytes / 2**30, 2) == 0.09


def test_a_granule_mapped_elsewhere_is_noticed(host_backing: MakeBacking) -> None:
    manager = GranuleManager(SPEC, host_backing(10), reserving(0, 1))
    manager.admit(0, 4)
    manager.check_integrity()
    manager.backing.map(manager.backing.reserve(1024), 0, 1)  # damage
    with pytest.raises(AssertionError, match="a mapped granule is in no span"):
        manager.check_integrity()


@pytest.mark.parametrize("options", [(-1, 5), (6, 5)])
def test_impossible_reserves_are_refused(options: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="reserve_min"):
        reserving(*options)


def test_a_span_has_a_granule() -> None:
    with pytest.raises(ValueError, match="span must be at least 1"):
        GranuleOptions(span=0)
