import pickle
from collections.abc import Callable

import pytest

from allocator.backing import HostBacking
from allocator.pool import Placement, Pool
from allocator.run import pages_of_runs
from allocator.span import SpanGeometry

MIB = 1 << 20
MakeBacking = Callable[[int], HostBacking]


@pytest.mark.parametrize("page_bytes", [16, 400, 1008, 1024, 1040, 3008, 5120, 70000, 1000000])
@pytest.mark.parametrize("min_granules", [1, 8])
def test_a_movable_span_is_the_smallest_that_wastes_at_most_one_percent(
    page_bytes: int, min_granules: int
) -> None:
    def wastes_little(granules: int) -> bool:
        return granules * 1024 % page_bytes * 100 <= granules * 1024 and (
            granules * 1024 >= page_bytes
        )

    span = SpanGeometry.movable(page_bytes, 1024, min_granules)
    assert span.granules_per_span >= min_granules
    assert span.pages_per_span == span.granules_per_span * 1024 // page_bytes
    assert wastes_little(span.granules_per_span)
    assert not any(wastes_little(fewer) for fewer in range(min_granules, span.granules_per_span))


@pytest.mark.parametrize(
    ("page_bytes", "min_granules", "expected"),
    [
        (2 * MIB, 1, (1, 1)),  # a page as large as a granule
        (64 << 10, 1, (32, 1)),  # pages that divide one
        (64 << 10, 8, (256, 8)),
        (3 * MIB, 1, (2, 3)),  # 2 granules would waste a quarter
        (5 * MIB, 8, (4, 10)),  # 8 granules would hold 3 pages and waste 1 MiB
    ],
)
def test_spans_by_hand(page_bytes: int, min_granules: int, expected: tuple[int, int]) -> None:
    span = SpanGeometry.movable(page_bytes, 2 * MIB, min_granules)
    assert (span.pages_per_span, span.granules_per_span) == expected


@pytest.mark.parametrize(
    ("page_bytes", "num_granules", "num_pages"),
    [(3000, 10, 3), (3000, 2, 0), (16, 1, 64), (16, 2, 128), (16, 3, 192), (15, 2, 136), (1, 0, 0)],
)
def test_a_fixed_pool_holds_all_pages_end_to_end(
    host_backing: MakeBacking, page_bytes: int, num_granules: int, num_pages: int
) -> None:
    backing = host_backing(10)
    pool = Pool.fixed("test", page_bytes, backing, num_granules)
    assert (pool.num_pages, pool.num_free, pool.num_live) == (num_pages, num_pages, 0)
    assert backing.num_free_granules == 10 - num_granules
    pool.check_integrity()
    assert sorted(taken(pool, num_pages)) == list(range(num_pages))
    assert pool.offset_bytes(num_pages) == num_pages * page_bytes
    pool.check_integrity()


def test_pages_of_a_fixed_pool_come_from_the_low_end_in_order(host_backing: MakeBacking) -> None:
    pool = Pool.fixed("test", 16, host_backing(10), 3)
    assert pool.take(100) == [(0, 100)]
    assert pool.take(1) == [(100, 1)]


def test_capacity_of_a_fixed_pool_stays(host_backing: MakeBacking) -> None:
    pool = Pool.fixed("test", 16, host_backing(10), 2)
    with pytest.raises(ValueError, match="no room for 1 more spans"):
        pool.add_spans(1)
    with pytest.raises(ValueError, match="1 spans asked, 0 can go"):
        pool.remove_empty_spans(1)
    pool.check_integrity()


@pytest.fixture
def pool(host_backing: MakeBacking) -> Pool:
    """Four pages a span, a span a granule, five spans of six present."""
    pool = Pool("test", SpanGeometry(256, 4, 1), host_backing(10), slab_granules=6)
    pool.add_spans(5)
    return pool


def taken(pool: Pool, count: int) -> list[int]:
    return pages_of_runs(pool.take(count))


def give(pool: Pool, *pages: int) -> None:
    pool.give([(page, 1) for page in pages])


def all_but(pool: Pool, *pages: int) -> None:
    """Take everything, then give these pages back."""
    pool.take(pool.num_free)
    give(pool, *pages)


def test_pages_come_by_runs_from_the_span_listed_last(pool: Pool) -> None:
    assert pool.take(6) == [(16, 4), (12, 2)]
    assert (pool.num_pages, pool.num_free, pool.num_live) == (20, 14, 6)
    assert (pool.num_spans, pool.num_empty_spans) == (5, 3)


def test_taking_more_than_is_free_takes_nothing(pool: Pool) -> None:
    pool.take(18)
    with pytest.raises(ValueError, match="3 pages asked, 2 are free"):
        pool.take(3)
    assert pool.take(2) == [(2, 2)]
    assert pool.take(0) == []
    with pytest.raises(ValueError, match="1 pages asked, 0 are free"):
        pool.take(1)
    pool.check_integrity()


def test_spans_in_use_give_before_empty_ones(pool: Pool) -> None:
    all_but(pool, 5, 9, *range(12, 20))
    assert sorted(taken(pool, 2)) == [5, 9]
    assert pool.num_empty_spans == 2
    give(pool, 5, 6)
    assert taken(pool, 3) == [5, 6, 16]


def test_the_fullest_span_gives_first_and_its_lowest_pages(pool: Pool) -> None:
    all_but(pool, 1, 2, 3, 10, 8, 17)
    assert pool.take(1) == [(17, 1)]
    assert pool.take(2) == [(8, 1), (10, 1)]
    assert pool.take(2) == [(1, 2)]
    assert pool.take(1) == [(3, 1)]


def test_scattered_pages_are_left_where_a_take_ends(pool: Pool) -> None:
    all_but(pool, 8, 10, 11)
    assert pool.take(2) == [(8, 1), (10, 1)]
    assert pool.take(1) == [(11, 1)]


def test_spread_takes_from_the_emptiest_span_in_use_and_then_from_empty_ones(pool: Pool) -> None:
    all_but(pool, 1, 2, 3, 10, 8, 17, *range(4, 8))
    pool.placement = Placement.SPREAD
    assert pool.take(5) == [(1, 3), (8, 1), (10, 1)]
    assert pool.take(1) == [(17, 1)]
    assert pool.num_empty_spans == 1
    assert pool.take(4) == [(4, 4)]


def test_runs_may_cross_spans(pool: Pool) -> None:
    all_but(pool)
    pool.give([(2, 9), (15, 1)])
    assert pool.num_free == 10
    assert pool.num_empty_spans == 1
    pool.check_live({0, 1, 11, 12, 13, 14, *range(16, 20)})
    pool.check_integrity()


def test_spans_side_by_side_make_one_run(pool: Pool) -> None:
    all_but(pool)
    pool.give([(8, 4)])
    pool.give([(4, 4)])
    assert pool.take(7) == [(4, 7)]


def test_the_span_that_became_empty_last_goes_first(pool: Pool) -> None:
    all_but(pool, 16, 17, 18, 19, 0, 1, 2, 3, 8, 9, 10, 11)
    pool.remove_empty_spans(2)
    assert pool.take(4) == [(16, 4)]
    pool.check_integrity()


def test_a_span_with_a_live_page_stays(pool: Pool) -> None:
    all_but(pool, *(page for page in range(20) if page % 4))
    assert pool.num_free == 15
    assert pool.num_empty_spans == 0
    with pytest.raises(ValueError, match="1 spans asked, 0 can go"):
        pool.remove_empty_spans(1)
    give(pool, 0)
    with pytest.raises(ValueError, match="2 spans asked, 1 can go"):
        pool.remove_empty_spans(2)
    assert pool.num_spans == 5


def test_the_lowest_absent_span_is_mapped_first(pool: Pool) -> None:
    all_but(pool, *range(4, 12))
    pool.remove_empty_spans(2)
    pool.add_spans(1)
    assert pool.take(4) == [(4, 4)]
    pool.add_spans(2)
    assert pool.take(8) == [(20, 4), (8, 4)]


def test_adding_too_many_spans_adds_none(pool: Pool) -> None:
    with pytest.raises(ValueError, match="no room for 2 more spans"):
        pool.add_spans(2)
    assert pool.num_spans == 5
    pool.check_integrity()


def test_adding_beyond_the_budget_adds_none(host_backing: MakeBacking) -> None:
    backing = host_backing(3)
    pool = Pool("test", SpanGeometry(512, 4, 2), backing, slab_granules=12)
    with pytest.raises(ValueError, match="no room for 2 more spans"):
        pool.add_spans(2)
    assert backing.num_free_granules == 3
    pool.add_spans(1)
    pool.check_integrity()


def test_spans_are_mapped_and_unmapped_one_by_one(host_backing: MakeBacking) -> None:
    backing = host_backing(12)
    pool = Pool("test", SpanGeometry(512, 6, 3), backing, slab_granules=12)
    pool.add_spans(3)
    pool.remove_empty_spans(2)
    done = backing.counters()
    assert (done.maps, done.mapped_granules) == (3, 9)
    assert (done.unmaps, done.unmapped_granules) == (2, 6)


def test_pages_of_one_span_each_come_and_go(host_backing: MakeBacking) -> None:
    pool = Pool("test", SpanGeometry(1024, 1, 1), host_backing(4), slab_granules=4)
    pool.add_spans(4)
    for _ in range(3):
        runs = pool.take(4)
        assert sorted(pages_of_runs(runs)) == [0, 1, 2, 3]
        pool.give(runs[::-1])
        assert pool.num_empty_spans == 4
        pool.check_integrity()


def test_pages_start_where_their_span_does(host_backing: MakeBacking) -> None:
    """Three pages of 1,000 bytes in three granules of 1,024."""
    pool = Pool("test", SpanGeometry(1000, 3, 3), host_backing(9), slab_granules=9)
    assert [pool.offset_bytes(page) for page in (0, 2, 3, 7)] == [0, 2000, 3072, 7144]


def test_the_emptiest_span_in_use(pool: Pool) -> None:
    assert pool.emptiest_span() is None
    all_but(pool)
    assert pool.emptiest_span() is None
    give(pool, 0, 4, 5, 6, 8, 9, *range(16, 20))
    assert pool.emptiest_span() == 1


@pytest.mark.parametrize("placement", Placement)
def test_an_evacuated_span_is_empty_and_its_pages_lie_in_others_in_use(
    pool: Pool, placement: Placement
) -> None:
    all_but(pool, 4, 6, 9, 13, 14, *range(16, 20))
    pool.placement = placement
    moves = pool.evacuate(1)
    assert [source for source, _ in moves] == [5, 7]
    targets = [target for _, target in moves]
    assert targets == ([9, 13] if placement is Placement.PACK else [13, 14])
    assert (pool.num_pages, pool.num_free, pool.num_empty_spans) == (20, 9, 2)
    pool.check_live({*range(4), 8, 9, 10, 11, 12, 13, 14, 15} - ({9, 13, 14} - set(targets)))
    pool.check_integrity()


def test_a_full_span_may_be_evacuated(pool: Pool) -> None:
    all_but(pool, 4, 6, 9, 13, 14)
    assert {source for source, _ in pool.evacuate(0)} == {0, 1, 2, 3}
    assert (pool.num_free, pool.num_empty_spans) == (5, 1)
    pool.check_integrity()


def test_evacuation_copies_each_page_in_the_backing(host_backing: MakeBacking) -> None:
    backing = host_backing(10)
    pool = Pool("test", SpanGeometry(256, 4, 1), backing, slab_granules=6)
    pool.add_spans(3)
    all_but(pool, 0, 1, 5, 6)
    assert pool.evacuate(1) == [(4, 0), (7, 1)]
    assert backing.counters().copied_bytes == 2 * 256


def test_nothing_moves_where_the_others_have_too_few_pages(pool: Pool) -> None:
    """The free pages of the span itself, and those of empty spans, do not count."""
    all_but(pool, 4, 9, 13, *range(16, 20))
    before = pickle.dumps(pool)
    with pytest.raises(ValueError, match="3 pages of span 1 find no place"):
        pool.evacuate(1)
    assert pickle.dumps(pool) == before


@pytest.mark.parametrize("num_taken", [0, 6])
def test_an_empty_span_has_nothing_to_move(pool: Pool, num_taken: int) -> None:
    pool.take(num_taken)
    before = pickle.dumps(pool)
    assert pool.evacuate(0) == []
    assert pickle.dumps(pool) == before


def test_an_absent_span_is_not_evacuated(pool: Pool) -> None:
    all_but(pool, 4, 8, 12, 16)
    before = pickle.dumps(pool)
    with pytest.raises(ValueError, match="span 5"):
        pool.evacuate(5)
    assert pickle.dumps(pool) == before
