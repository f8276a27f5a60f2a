import pytest

from allocator.backing import BackingCounters, BackingExhaustedError, HostBacking


@pytest.fixture
def backing() -> HostBacking:
    return HostBacking(budget_bytes=10 * 1024 + 1023, granule_bytes=1024)


def test_the_budget_counts_in_whole_granules(backing: HostBacking) -> None:
    assert backing.num_granules == 10
    assert backing.num_free_granules == 10


@pytest.mark.parametrize("granule_bytes", [0, 64, 127, 129, -128])
def test_a_granule_keeps_slabs_aligned(granule_bytes: int) -> None:
    with pytest.raises(ValueError, match="multiple of 128"):
        HostBacking(1 << 20, granule_bytes)


def test_a_budget_below_one_granule_is_refused() -> None:
    with pytest.raises(ValueError, match="holds no granule"):
        HostBacking(1023, 1024)


def test_slabs_are_numbered_from_zero_and_take_no_budget(backing: HostBacking) -> None:
    assert [backing.reserve(100 * 1024), backing.reserve(100 * 1024)] == [0, 1]
    assert backing.num_free_granules == 10
    assert backing.counters() == BackingCounters()


def test_one_budget_serves_all_slabs(backing: HostBacking) -> None:
    one, two = backing.reserve(8 * 1024), backing.reserve(8 * 1024)
    backing.map(one, 0, 6)
    with pytest.raises(BackingExhaustedError, match="5 granules asked, 4 of the budget left"):
        backing.map(two, 0, 5)
    backing.map(two, 2, 4)
    assert backing.num_free_granules == 0
    backing.unmap(one, 1, 2)
    backing.map(two, 0, 2)
    assert backing.counters() == BackingCounters(
        maps=3, unmaps=1, mapped_granules=12, unmapped_granules=2
    )
    backing.check_integrity()


@pytest.mark.parametrize(
    ("slab", "first", "count"),
    [(0, 2, 1), (0, 1, 2), (0, 3, 2), (0, 4, 5), (0, -1, 1), (0, 5, 0), (1, 0, 1), (-1, 5, 1)],
)
def test_mapping_what_cannot_be_mapped_changes_nothing(
    backing: HostBacking, slab: int, first: int, count: int
) -> None:
    backing.map(backing.reserve(8 * 1024), 2, 2)
    with pytest.raises(ValueError, match="cannot flip"):
        backing.map(slab, first, count)
    assert backing.counters() == BackingCounters(maps=1, mapped_granules=2)
    backing.check_integrity()


@pytest.mark.parametrize(
    ("slab", "first", "count"), [(0, 1, 1), (0, 1, 2), (0, 3, 2), (0, 2, 0), (1, 2, 1), (-1, 2, 1)]
)
def test_unmapping_what_is_not_mapped_changes_nothing(
    backing: HostBacking, slab: int, first: int, count: int
) -> None:
    backing.map(backing.reserve(8 * 1024), 2, 2)
    with pytest.raises(ValueError, match="cannot flip"):
        backing.unmap(slab, first, count)
    assert backing.num_free_granules == 8
    assert backing.counters().unmaps == 0
    backing.check_integrity()


def test_a_slab_ends_at_its_last_started_granule(backing: HostBacking) -> None:
    slab = backing.reserve(3 * 1024 + 1)
    backing.map(slab, 3, 1)
    with pytest.raises(ValueError, match="cannot flip"):
        backing.map(slab, 4, 1)
