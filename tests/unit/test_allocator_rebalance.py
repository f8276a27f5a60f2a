from dataclasses import replace

import pytest

from allocator.rebalance.on_failure import OnFailure
from allocator.rebalance.policy import PoolView, Shortage, SpanMove

# Recipient: 10 pages in a span of 2 granules. Donor: 4 pages in a span of 3.


def shortage(
    missing: int, *, empty: int, free: int | None = None, keeps: int = 0, reserve: int = 0
) -> Shortage:
    free_pages = 4 * empty if free is None else free
    return Shortage(
        recipient_number=0,
        recipient=PoolView(1, 0, num_spans=5, pages_per_span=10, granules_per_span=2),
        missing_pages=missing,
        donor=PoolView(free_pages, empty, num_spans=20, pages_per_span=4, granules_per_span=3),
        donor_keeps_pages=keeps,
        reserve_granules=reserve,
        relocates=False,
        operation=0,
    )


@pytest.mark.parametrize(
    ("short", "expected"),
    [
        (shortage(1, empty=5), SpanMove(1, 1)),  # 2 granules asked, 3 come, 1 stays in reserve
        (shortage(10, empty=5), SpanMove(1, 1)),
        (shortage(11, empty=5), SpanMove(2, 3)),  # 4 asked, 6 come
        (shortage(11, empty=5, reserve=1), SpanMove(1, 2)),  # 3 come, 1 was there
        (shortage(71, empty=5), None),  # 8 spans, 16 granules, of 15
        (shortage(71, empty=5, reserve=1), SpanMove(5, 8)),
        (shortage(1, empty=0), None),
        (shortage(1, empty=0, reserve=2), SpanMove(0, 1)),  # the reserve is enough
        (shortage(25, empty=0, reserve=7), SpanMove(0, 3)),
        (shortage(1, empty=0, reserve=1), None),
    ],
)
def test_the_least_move_ends_the_shortage(short: Shortage, expected: SpanMove | None) -> None:
    assert OnFailure(batch_granules=1).on_shortage(short) == expected


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        (2, SpanMove(1, 1)),
        (4, SpanMove(2, 3)),
        (9, SpanMove(3, 4)),
        (10, SpanMove(4, 6)),
        (12, SpanMove(4, 6)),
        (15, SpanMove(5, 7)),
        (1000, SpanMove(5, 7)),
    ],
)
def test_a_batch_moves_as_far_as_the_donor_can_spare_it(batch: int, expected: SpanMove) -> None:
    assert OnFailure(batch).on_shortage(shortage(1, empty=5)) == expected


def test_the_least_move_wins_over_a_smaller_batch() -> None:
    assert OnFailure(3).on_shortage(shortage(31, empty=5)) == SpanMove(3, 4)


@pytest.mark.parametrize(
    ("keeps", "expected"),
    [(0, SpanMove(3, 4)), (1, SpanMove(2, 3)), (4, SpanMove(2, 3)), (5, SpanMove(1, 1)), (9, None)],
)
def test_the_donor_keeps_what_the_same_call_takes_from_it(
    keeps: int, expected: SpanMove | None
) -> None:
    assert OnFailure(1000).on_shortage(shortage(1, empty=3, keeps=keeps)) == expected


def test_what_the_donor_keeps_may_lie_in_its_partial_spans() -> None:
    short = shortage(1, empty=3, free=3 * 4 + 2, keeps=2)
    assert OnFailure(1000).on_shortage(short) == SpanMove(3, 4)


def test_free_pages_count_as_whole_spans_and_never_below_none() -> None:
    assert shortage(1, empty=0, free=11, keeps=0).sparable_spans == 2
    assert shortage(1, empty=0, free=11, keeps=4).sparable_spans == 1
    assert shortage(1, empty=0, free=3, keeps=9).sparable_spans == 0


def test_scattered_pages_do_not_move() -> None:
    assert OnFailure(1).on_shortage(shortage(1, empty=0, free=40)) is None


@pytest.mark.parametrize(
    ("batch", "free", "expected"),
    [
        (1, 4, SpanMove(1, 1)),
        (1, 3, None),  # less than a span's worth
        (1000, 40, SpanMove(1, 1)),  # a batch takes no more than need, if that is not empty
    ],
)
def test_scattered_pages_move_where_they_are_relocated(
    batch: int, free: int, expected: SpanMove | None
) -> None:
    short = replace(shortage(1, empty=0, free=free), relocates=True)
    assert OnFailure(batch).on_shortage(short) == expected
