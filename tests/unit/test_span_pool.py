import pickle
from collections.abc import Callable

import pytest

from allocator.backing import HostBacking
from allocator.run import pages_of_runs
from allocator.span import SpanGeometry
from allocator.span_lists import SpanLists
from allocator.span_pool import SpanPool

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


@pytest.fixture
def pool(host_backing: MakeBacking) -> SpanPool:
    """Four pages a span, a span a granule, five spans of six present."""
    pool = SpanPool("test", SpanGeometry(256, 4, 1), host_backing(10), slab_granules=6)
    pool.add_spans(5)
    return pool


def taken(pool: SpanPool, count: int) -> list[int]:
    return pages_of_runs(pool.take(count))


def give(pool: SpanPool, *pages: int) -> None:
    pool.give([(page, 1) for page in pages])


def all_but(pool: SpanPool, *pages: int) -> None:
    """Take everything, then give these pages back."""
    pool.take(pool.num_free)
    give(pool, *pages)


def test_pages_come_by_runs_from_the_span_listed_last(pool: SpanPool) -> None:
    assert pool.take(6) == [(16, 4), (12, 2)]
    assert (pool.num_pages, pool.num_free, pool.num_live) == (20, 14, 6)
    assert (pool.num_spans, pool.num_empty_spans) == (5, 3)


def test_taking_more_than_is_free_takes_nothing(pool: SpanPool) -> None:
    pool.take(18)
    with pytest.raises(ValueError, match="3 pages asked, 2 are free"):
        pool.take(3)
    assert pool.take(2) == [(2, 2)]
    assert pool.take(0) == []
    with pytest.raises(ValueError, match="1 pages asked, 0 are free"):
        pool.take(1)
    pool.check_integrity()


def test_spans_in_use_give_before_empty_ones(pool: SpanPool) -> None:
    all_but(pool, 5, 9, *range(12, 20))
    assert sorted(taken(pool, 2)) == [5, 9]
    assert pool.num_empty_spans == 2
    give(pool, 5, 6)
    assert taken(pool, 3) == [5, 6, 16]


def test_the_fullest_span_gives_first_and_its_lowest_pages(pool: SpanPool) -> None:
    all_but(pool, 1, 2, 3, 10, 8, 17)
    assert pool.take(1) == [(17, 1)]
    assert pool.take(2) == [(8, 1), (10, 1)]
    assert pool.take(2) == [(1, 2)]
    assert pool.take(1) == [(3, 1)]


def test_scattered_pages_are_left_where_a_take_ends(pool: SpanPool) -> None:
    all_but(pool, 8, 10, 11)
    assert pool.take(2) == [(8, 1), (10, 1)]
    assert pool.take(1) == [(11, 1)]


def test_runs_may_cross_spans(pool: SpanPool) -> None:
    all_but(pool)
    pool.give([(2, 9), (15, 1)])
    assert pool.num_free == 10
    assert pool.num_empty_spans == 1
    pool.check_live({0, 1, 11, 12, 13, 14, *range(16, 20)})
    pool.check_integrity()


def test_spans_side_by_side_make_one_run(pool: SpanPool) -> None:
    all_but(pool)
    pool.give([(8, 4)])
    pool.give([(4, 4)])
    assert pool.take(7) == [(4, 7)]


def test_the_span_that_became_empty_last_goes_first(pool: SpanPool) -> None:
    all_but(pool, 16, 17, 18, 19, 0, 1, 2, 3, 8, 9, 10, 11)
    pool.remove_empty_spans(2)
    assert pool.take(4) == [(16, 4)]
    pool.check_integrity()


def test_a_span_with_a_live_page_stays(pool: SpanPool) -> None:
    all_but(pool, *(page for page in range(20) if page % 4))
    assert pool.num_free == 15
    assert pool.num_empty_spans == 0
    with pytest.raises(ValueError, match="1 spans asked, fewer are empty"):
        pool.remove_empty_spans(1)
    give(pool, 0)
    before = pickle.dumps(pool)
    with pytest.raises(ValueError, match="2 spans asked, fewer are empty"):
        pool.remove_empty_spans(2)
    assert pickle.dumps(pool) == before
    pool.remove_empty_spans(1)
    assert pool.num_spans == 4


def test_the_lowest_absent_span_is_mapped_first(pool: SpanPool) -> None:
    all_but(pool, *range(4, 12))
    pool.remove_empty_spans(2)
    pool.add_spans(1)
    assert pool.take(4) == [(4, 4)]
    pool.add_spans(2)
    assert pool.take(8) == [(20, 4), (8, 4)]


def test_adding_too_many_spans_adds_none(pool: SpanPool) -> None:
    before = pickle.dumps(pool)
    with pytest.raises(ValueError, match="no room for 2 more spans"):
        pool.add_spans(2)
    assert pickle.dumps(pool) == before


def test_a_row_has_so_many_pages_in_spans_that_come_and_go_empty(pool: SpanPool) -> None:
    pool.take(6)
    assert pool.resize(24) == []
    assert pool.num_spans == 6
    assert pool.resize(8) == []
    assert (pool.num_spans, pool.num_empty_spans, pool.num_pages) == (2, 0, 8)
    with pytest.raises(ValueError, match="1 spans asked, fewer are empty"):
        pool.resize(4)
    pool.check_integrity()


def test_pages_of_one_span_each_come_and_go(host_backing: MakeBacking) -> None:
    pool = SpanPool("test", SpanGeometry(1024, 1, 1), host_backing(4), slab_granules=4)
    pool.add_spans(4)
    for _ in range(3):
        runs = pool.take(4)
        assert sorted(pages_of_runs(runs)) == [0, 1, 2, 3]
        pool.give(runs[::-1])
        assert pool.num_empty_spans == 4
        pool.check_integrity()


def test_of_empty_spans_the_one_listed_last_goes_first() -> None:
    lists = SpanLists(num_spans=6, pages_per_span=3)
    assert lists.add(5) == [0, 1, 2, 3, 4]
    lists.take_from(1, 3)
    lists.take_from(2, 2)  # the last has taken the place of the first
    assert (lists.num_spans, lists.num_empty, lists.first_empty) == (5, 3, 3)
    assert lists.take(5) == [(1, [2]), (3, [3]), (1, [4])]
    lists.give(2, [2, 1])
    assert lists.take(4) == [(2, [1, 2])]
    lists.give(3, [2])
    assert lists.remove_empty(2) == [2, 0]
    assert lists.add(1) == [0]
    assert lists.live() == {1: 3, 3: 3, 4: 1}
    lists.check_integrity()
