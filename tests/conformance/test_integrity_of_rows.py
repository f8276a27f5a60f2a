"""Corrupts one private thing after another in free pages and in pools that are rows of them."""
# ruff: noqa: SLF001 - the point is to write where no caller may

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from allocator.backing import HostBacking
from allocator.free_pages import CHAPTER_PAGES, FreePages
from allocator.mapped_pool import Extent, MappedPool
from allocator.row_pool import RowPool

if TYPE_CHECKING:
    from collections.abc import Callable

Damage = dict[str, "Callable[[Any], object]"]

# Of three chapters the first is empty and passed over, the second and the third have three pages.
FREE_PAGES_DAMAGE: Damage = {
    "a page is lost": lambda pages: pages._chapters.__setitem__(1, 0b110),
    "a page came": lambda pages: pages._chapters.__setitem__(1, 0b1111),
    "pages are miscounted": lambda pages: setattr(pages, "count", 5),
    "a chapter moved": lambda pages: pages._chapters.reverse(),
    "a page of the next chapter": lambda pages: pages._chapters.__setitem__(
        1, 0b11 | 1 << CHAPTER_PAGES
    ),
    "an empty chapter is marked": lambda pages: setattr(pages, "_some", 0b111),
    "a chapter is not marked": lambda pages: setattr(pages, "_some", 0b010),
    "a chapter that is not there is marked": lambda pages: setattr(pages, "_some", 0b1110),
    "a chapter with pages is passed over": lambda pages: setattr(pages, "_lowest", 2),
}


@pytest.mark.parametrize("damage", FREE_PAGES_DAMAGE.values(), ids=FREE_PAGES_DAMAGE.keys())
def test_damaged_free_pages_are_noticed(damage: Callable[[Any], object]) -> None:
    pages = FreePages(3 * CHAPTER_PAGES)
    pages.add(0, 1)
    for first in (CHAPTER_PAGES, 2 * CHAPTER_PAGES):
        pages.add(first, 3)
    pages.take(1)
    pages.check_integrity()
    damage(pages)
    with pytest.raises(AssertionError):
        pages.check_integrity()


def row(pool: RowPool) -> RowPool:
    """Ten pages of which 2, 3 and 7 are free."""
    pool.lengthen(10 - pool.num_pages)
    pool.take(10)
    pool.give([(2, 2), (7, 1)])
    pool.check_integrity()
    return pool


def plain() -> RowPool:
    return row(RowPool("test", 64, 20))


def mapped() -> RowPool:
    """A granule of base and three units of two: 14 pages of 500 bytes and 168 bytes."""
    pool = MappedPool("test", 500, HostBacking(9 * 1024, 1024), Extent(1, 2, 4))
    pool.gain(3)
    pool.take(14)
    pool.give([(2, 2), (7, 1)])
    pool.check_integrity()
    return pool


ROW_DAMAGE: Damage = {
    "free pages are damaged": lambda pool: setattr(pool._free, "count", 4),
    "a free page lies beyond the end": lambda pool: pool._free.add(pool.num_pages, 1),
    "the row ends before a free page": lambda pool: setattr(pool, "num_pages", 7),
    "the row is too long": lambda pool: setattr(pool, "num_pages", pool.max_pages + 1),
}


@pytest.mark.parametrize("new", [plain, mapped])
@pytest.mark.parametrize("damage", ROW_DAMAGE.values(), ids=ROW_DAMAGE.keys())
def test_a_damaged_row_is_noticed(
    new: Callable[[], RowPool], damage: Callable[[Any], object]
) -> None:
    pool = new()
    damage(pool)
    with pytest.raises(AssertionError, match="pool test"):
        pool.check_integrity()


@pytest.mark.parametrize("new", [plain, mapped])
@pytest.mark.parametrize(
    "change", [lambda live: live - {1}, lambda live: live - {1} | {2}, lambda live: live | {7}]
)
def test_pages_said_to_be_live_must_be_the_taken_ones(
    new: Callable[[], RowPool], change: Callable[[set[int]], set[int]]
) -> None:
    pool = new()
    live = set(range(pool.num_pages)) - {2, 3, 7}
    pool.check_live(live)
    with pytest.raises(AssertionError, match="live page"):
        pool.check_live(change(live))


def test_a_live_page_lies_in_the_row() -> None:
    with pytest.raises(AssertionError, match="a live page lies beyond the end"):
        plain().check_live(set(range(11)) - {1, 2, 3, 7})


MAPPED_DAMAGE: Damage = {
    "a unit is lost": lambda pool: setattr(pool, "num_units", 2),
    "a unit came": lambda pool: setattr(pool, "num_units", 4),
    "a page is missing at the end": lambda pool: setattr(pool, "num_pages", 13),
    "a page reaches beyond what is mapped": lambda pool: setattr(pool, "num_pages", 15),
    "pages came without memory": lambda pool: pool.lengthen(1),
    "pages went and their memory did not": lambda pool: pool.shorten(1),
}


@pytest.mark.parametrize("damage", MAPPED_DAMAGE.values(), ids=MAPPED_DAMAGE.keys())
def test_a_damaged_mapped_row_is_noticed(damage: Callable[[Any], object]) -> None:
    pool = mapped()
    damage(pool)
    with pytest.raises(AssertionError, match="its pages do not fill what is mapped"):
        pool.check_integrity()
