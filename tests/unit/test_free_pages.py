"""Free pages across the edges of chapters, which lie at multiples of 512."""

import pickle

import pytest

from allocator.free_pages import CHAPTER_PAGES, FreePages
from allocator.run import Run

NUM_PAGES = 3 * CHAPTER_PAGES


def free(*runs: Run) -> FreePages:
    pages = FreePages(NUM_PAGES)
    for first, count in runs:
        pages.add(first, count)
    pages.check_integrity()
    return pages


def test_a_chapter_has_512_pages() -> None:
    """The figures below are worked out for it."""
    assert CHAPTER_PAGES == 512


def test_nothing_is_free_at_first() -> None:
    pages = free()
    assert (pages.count, pages.runs()) == (0, [])
    assert pages.take(0) == []


def test_runs_side_by_side_are_one_run() -> None:
    pages = free((5, 2), (9, 1), (7, 2), (600, 1))
    assert pages.runs() == [(5, 5), (600, 1)]
    assert pages.count == 6


@pytest.mark.parametrize("run", [(0, 1536), (511, 2), (500, 700), (512, 512), (1535, 1), (0, 513)])
def test_a_run_across_chapters_comes_back_as_one_run(run: Run) -> None:
    pages = free(run)
    assert pages.count == run[1]
    assert pages.runs() == [run]
    assert pages.take(run[1]) == [run]
    assert pages.count == 0
    pages.check_integrity()


@pytest.mark.parametrize(
    ("there", "added"),
    [
        ((7, 1), (7, 1)),
        ((7, 1), (3, 5)),
        ((7, 1), (7, 3)),
        ((511, 1), (500, 20)),  # the first part is refused
        ((512, 1), (500, 20)),  # the second, when the first has been added
        ((1030, 1), (500, 600)),  # the third
        ((1030, 1), (0, 1536)),
    ],
)
def test_a_run_with_a_page_that_is_free_is_not_added_at_all(there: Run, added: Run) -> None:
    pages = free(there)
    first, count = added
    with pytest.raises(ValueError, match="is free already"):
        pages.add(first, count)
    assert pages.runs() == [there]
    assert pages.count == 1
    pages.check_integrity()
    assert [pages.pop(), pages.count] == [there[0], 0]


def test_the_lowest_page_leaves_first() -> None:
    pages = free((900, 2), (1100, 1), (3, 1))
    assert [pages.pop() for _ in range(3)] == [3, 900, 901]
    pages.add(513, 1)  # below the one that was lowest
    pages.add(2, 1)
    assert [pages.pop() for _ in range(3)] == [2, 513, 1100]
    assert pages.count == 0
    pages.check_integrity()


@pytest.mark.parametrize("chapter", range(3))
def test_a_chapter_that_loses_a_page_is_whole_no_more(chapter: int) -> None:
    """Were it still marked whole, the run before its end would go too far."""
    first = chapter * CHAPTER_PAGES
    for lost, take in ((first, FreePages.pop), (first + 511, lambda p: p.remove_from(first + 511))):
        pages = free((first, CHAPTER_PAGES))
        take(pages)
        pages.check_integrity()
        assert pages.run_before(first + CHAPTER_PAGES) == (511 if lost == first else 0)
        pages.add(lost, 1)
        pages.check_integrity()
        assert pages.runs() == [(first, CHAPTER_PAGES)]


def test_a_take_gathers_the_lowest_runs_and_cuts_the_last() -> None:
    pages = free((3, 2), (8, 1), (510, 5), (700, 10))
    assert pages.take(4) == [(3, 2), (8, 1), (510, 1)]
    assert pages.take(6) == [(511, 4), (700, 2)]
    assert pages.runs() == [(702, 8)]
    assert pages.take(8) == [(702, 8)]
    pages.check_integrity()


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (0, [(10, 5), (600, 2)]),
        (9, [(10, 5), (600, 2)]),
        (12, [(12, 3), (600, 4)]),  # from the middle of a run on
        (15, [(600, 5), (1500, 2)]),
        (512, [(600, 5), (1500, 2)]),
        (604, [(604, 1), (1500, 3), (10, 3)]),  # round again, in the order taken
        (1502, [(1502, 1), (10, 5), (600, 1)]),
        (1503, [(10, 5), (600, 2)]),
        (1536, [(10, 5), (600, 2)]),  # the end of all pages
    ],
)
def test_a_take_may_start_anywhere_and_goes_round(start: int, expected: list[Run]) -> None:
    pages = free((10, 5), (600, 5), (1500, 3))
    assert pages.take(7, start) == expected
    assert pages.count == 6
    pages.check_integrity()


def test_a_take_that_goes_round_comes_back_to_where_it_started() -> None:
    pages = free((10, 5), (1500, 3))
    assert pages.take(8, 12) == [(12, 3), (1500, 3), (10, 2)]
    assert pages.count == 0


def test_a_run_that_goes_round_is_two_runs() -> None:
    """The last page and the first do not follow each other."""
    assert free((0, 3), (1533, 3)).take(5, 1534) == [(1534, 2), (0, 3)]


def test_what_lies_beyond_a_page_can_be_removed() -> None:
    pages = free((10, 5), (500, 30), (1100, 1))
    assert pages.remove_from(510) == [(510, 20), (1100, 1)]
    assert pages.runs() == [(10, 5), (500, 10)]
    assert pages.remove_from(1000) == []
    assert pages.remove_from(0) == [(10, 5), (500, 10)]
    assert pages.count == 0
    pages.check_integrity()


@pytest.mark.parametrize(
    ("end", "length"),
    [(0, 0), (1, 0), (10, 0), (11, 1), (15, 5), (16, 0), (1024, 524), (1023, 523), (1025, 0)],
)
def test_the_run_before_a_page(end: int, length: int) -> None:
    """The second run goes from 500 over the whole second chapter."""
    assert free((10, 5), (500, 524)).run_before(end) == length


def test_all_pages_may_be_one_run() -> None:
    assert free((0, 1536)).run_before(1536) == 1536


def test_looking_changes_nothing() -> None:
    pages = free((10, 5), (500, 524))
    before = pickle.dumps(pages)
    pages.runs()
    pages.run_before(700)
    pages.check_integrity()
    assert pickle.dumps(pages) == before
