from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from allocator.run import (
    Run,
    append_run,
    deal_runs,
    pages_of_runs,
    runs_of_mask,
    runs_of_pages,
    tail_of_runs,
)

PAGES = st.integers(0, 200)
RUNS = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 5)), max_size=12)


def is_shortest(runs: list[Run]) -> bool:
    """No run is empty, and none goes on where the one before it ends."""
    goes_on = (first + count == after for (first, count), (after, _) in pairwise(runs))
    return all(count > 0 for _, count in runs) and not any(goes_on)


def test_by_hand() -> None:
    assert list(runs_of_mask(0b1011_0001, 64)) == [(64, 1), (68, 2), (71, 1)]
    assert runs_of_pages([3, 4, 5, 9, 8, 8]) == [(3, 3), (9, 1), (8, 1), (8, 1)]
    assert pages_of_runs([(3, 2), (9, 1), (0, 0)]) == [3, 4, 9]


def test_nothing_is_no_run() -> None:
    assert not list(runs_of_mask(0, 5))
    assert not runs_of_pages([])
    assert not pages_of_runs([])


@given(st.sets(PAGES), st.integers(0, 1000))
def test_the_runs_of_a_mask_are_its_bits_in_order(bits: set[int], first: int) -> None:
    runs = list(runs_of_mask(sum(1 << bit for bit in bits), first))
    assert pages_of_runs(runs) == [first + bit for bit in sorted(bits)]
    assert is_shortest(runs)


@given(st.lists(PAGES))
def test_runs_of_pages_keep_every_page_in_order(pages: list[int]) -> None:
    runs = runs_of_pages(iter(pages))
    assert pages_of_runs(runs) == pages
    assert is_shortest(runs)


@given(RUNS)
def test_appended_runs_are_the_runs_of_all_their_pages(parts: list[Run]) -> None:
    runs: list[Run] = []
    for first, count in parts:
        append_run(runs, first, count)
    assert runs == runs_of_pages(pages_of_runs(parts))


@given(RUNS, st.integers(0, 70))
def test_a_tail_is_the_last_pages_in_order(runs: list[Run], count: int) -> None:
    pages = pages_of_runs(runs)
    assert pages_of_runs(tail_of_runs(runs, count)) == pages[max(0, len(pages) - count) :]


def test_a_deal_cuts_runs_where_shares_end_and_joins_what_follows() -> None:
    held: list[list[Run]] = [[(2, 2)], [(50, 1)], [], []]
    deal_runs([(4, 4), (20, 5)], list(zip(held, (3, 2, 0, 4), strict=True)))
    assert held == [[(2, 5)], [(50, 1), (7, 1), (20, 1)], [], [(21, 4)]]


@given(RUNS, st.lists(st.integers(0, 4), max_size=10))
def test_shares_are_the_pages_in_order(parts: list[Run], counts: list[int]) -> None:
    pages = pages_of_runs(parts)
    dealt: list[list[Run]] = [[] for _ in counts]
    if sum(counts) <= len(pages):
        deal_runs(parts, list(zip(dealt, counts, strict=True)))
        ends = [sum(counts[: i + 1]) for i in range(len(counts))]
        expected = [pages[end - n : end] for end, n in zip(ends, counts, strict=True)]
        assert [pages_of_runs(runs) for runs in dealt] == expected
        assert all(is_shortest(runs) for runs in dealt)
