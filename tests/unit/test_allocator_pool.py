from collections.abc import Callable

import pytest

from allocator.backing import HostBacking
from allocator.pool import Pool, SpanGeometry

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


def test_a_fixed_pool_is_one_span_of_everything() -> None:
    assert SpanGeometry.fixed(3000, 10, 1024) == SpanGeometry(3000, 3, 10)
    assert SpanGeometry.fixed(3000, 2, 1024).pages_per_span == 0


@pytest.fixture
def pool(host_backing: MakeBacking) -> Pool:
    """Four pages a span, a span a granule, five spans of six present."""
    pool = Pool("test", SpanGeometry(256, 4, 1), host_backing(10), max_spans=6)
    pool.add_spans(5)
    return pool


def spans_of(pages: list[int]) -> list[int]:
    return [page // 4 for page in pages]


def test_pages_come_from_the_low_end_in_order(pool: Pool) -> None:
    assert pool.take(6) == [0, 1, 2, 3, 4, 5]
    assert (pool.num_pages, pool.num_free, pool.num_live) == (20, 14, 6)
    assert (pool.num_spans, pool.num_empty_spans) == (5, 3)


def test_taking_more_than_is_free_takes_nothing(pool: Pool) -> None:
    pool.take(18)
    with pytest.raises(ValueError, match="3 pages asked, 2 are free"):
        pool.take(3)
    assert pool.take(2) == [18, 19]
    assert pool.take(0) == []


def test_partial_spans_are_used_before_empty_ones(pool: Pool) -> None:
    pool.take(12)
    pool.give([5, 9])
    assert sorted(pool.take(2)) == [5, 9]
    assert pool.num_empty_spans == 2
    pool.give([5, 6])
    assert spans_of(pool.take(3)) == [1, 1, 3]


def test_the_lowest_partial_span_is_filled_first(pool: Pool) -> None:
    pool.take(20)
    pool.give([6, 14, 1, 18])
    assert pool.take(4) == [1, 6, 14, 18]


def test_the_lowest_empty_span_is_used_first(pool: Pool) -> None:
    pool.take(20)
    pool.give([4, 5, 6, 7])
    pool.give([12, 13, 14, 15])
    pool.give([0, 1, 2, 3])
    assert spans_of([pool.take(4)[0] for _ in range(3)]) == [0, 1, 3]


def test_spans_leave_from_the_high_end(pool: Pool) -> None:
    pool.take(20)
    pool.give([16, 17, 18, 19])
    pool.give([0, 1, 2, 3])
    pool.give([8, 9, 10, 11])
    pool.remove_empty_spans(2)
    assert sorted(pool.take(4)) == [0, 1, 2, 3]
    pool.check_integrity()


def test_a_span_with_a_live_page_stays(pool: Pool) -> None:
    pages = pool.take(20)
    pool.give([page for page in pages if page % 4])
    assert pool.num_free == 15
    assert pool.num_empty_spans == 0
    with pytest.raises(ValueError, match="1 spans asked, 0 are empty"):
        pool.remove_empty_spans(1)
    pool.give([0])
    with pytest.raises(ValueError, match="2 spans asked, 1 are empty"):
        pool.remove_empty_spans(2)
    assert pool.num_spans == 5


def test_the_lowest_absent_span_is_mapped_first(pool: Pool) -> None:
    pool.take(20)
    pool.give(list(range(4, 12)))
    pool.remove_empty_spans(2)
    pool.add_spans(1)
    assert pool.take(4) == [4, 5, 6, 7]
    pool.add_spans(2)
    assert spans_of(pool.take(8)) == [2, 2, 2, 2, 5, 5, 5, 5]


def test_adding_too_many_spans_adds_none(pool: Pool) -> None:
    with pytest.raises(ValueError, match="no room for 2 more spans"):
        pool.add_spans(2)
    assert pool.num_spans == 5
    pool.check_integrity()


def test_adding_beyond_the_budget_adds_none(host_backing: MakeBacking) -> None:
    backing = host_backing(3)
    pool = Pool("test", SpanGeometry(512, 4, 2), backing, max_spans=6)
    with pytest.raises(ValueError, match="no room for 2 more spans"):
        pool.add_spans(2)
    assert backing.num_free_granules == 3
    pool.add_spans(1)
    pool.check_integrity()


def test_spans_are_mapped_and_unmapped_one_by_one(host_backing: MakeBacking) -> None:
    backing = host_backing(12)
    pool = Pool("test", SpanGeometry(512, 6, 3), backing, max_spans=4)
    pool.add_spans(3)
    pool.remove_empty_spans(2)
    done = backing.counters()
    assert (done.maps, done.mapped_granules) == (3, 9)
    assert (done.unmaps, done.unmapped_granules) == (2, 6)


def test_pages_of_one_span_each_come_and_go(host_backing: MakeBacking) -> None:
    pool = Pool("test", SpanGeometry(1024, 1, 1), host_backing(4), max_spans=4)
    pool.add_spans(4)
    for _ in range(3):
        taken = pool.take(4)
        assert sorted(taken) == [0, 1, 2, 3]
        pool.give(taken[::-1])
        assert pool.num_empty_spans == 4
        pool.check_integrity()
