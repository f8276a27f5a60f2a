"""Searches end, at the highest load below the lowest that fails."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.plan.search import LoadGrid, Search

NUMBERS = st.integers(-60, 60)


def run(search: Search, fails: set[int]) -> list[int]:
    """Answer a search until it ends; what it asked for."""
    asked: list[int] = []
    while (number := search.wanted()) is not None:
        assert number not in asked
        asked.append(number)
        search.passed[number] = number not in fails
    return asked


@given(NUMBERS, NUMBERS, st.integers(1, 9))
def test_the_edge_is_found_from_anywhere_in_few_runs(edge: int, first: int, step: int) -> None:
    search = Search(first, -100, 100, step)
    asked = run(search, set(range(edge, 101)))
    assert (search.low, search.high) == (edge - 1, edge)
    assert search.is_monotone
    assert len(asked) <= 2 + 2 * math.log2(2 + abs(edge - first)) + math.log2(step)


@given(NUMBERS, st.sets(st.integers(-70, 70), min_size=1))
def test_whatever_passes_the_lowest_failing_load_counts(first: int, fails: set[int]) -> None:
    search = Search(first, -70, 70)
    run(search, fails)
    if search.low is not None and search.high is not None:
        assert search.high == search.low + 1
        assert not any(not ok and k < search.high for k, ok in search.passed.items())
    known = sorted(search.passed)
    falls = [search.passed[k] for k in known]
    assert search.is_monotone == (falls == sorted(falls, reverse=True))


def test_a_later_failure_lowers_the_answer_and_the_search_goes_on() -> None:
    search = Search(0, -100, 100)
    run(search, set(range(20, 101)))
    search.passed[10] = False
    assert not search.is_monotone
    run(search, {10, *range(20, 101)})
    assert (search.low, search.high) == (9, 10)


def test_where_nothing_passes_or_fails_the_search_ends_at_its_bounds() -> None:
    none, every = Search(0, -8, 8), Search(0, -8, 8)
    run(none, set(range(-100, 100)))
    run(every, set())
    assert (none.low, none.high) == (None, -8)
    assert (every.low, every.high) == (8, None)


@given(st.floats(0.001, 1), st.integers(-200, 200))
def test_loads_of_a_grid_lie_at_equal_ratios(tolerance: float, number: int) -> None:
    grid = LoadGrid(tolerance)
    assert grid.load(number + 1) / grid.load(number) == pytest.approx(1 + tolerance)
    assert grid.number(grid.load(number)) == number
    assert grid.load(0) == 1
