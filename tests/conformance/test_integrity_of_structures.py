"""Corrupts one private thing after another in pools of spans and in a page table."""
# ruff: noqa: SLF001 - the point is to write where no caller may

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from allocator.handle import HandleLayout
from allocator.page_table import PageTable
from allocator.span import SpanGeometry
from allocator.span_pool import SpanPool

if TYPE_CHECKING:
    from collections.abc import Callable

    from allocator.backing import HostBacking


def _unlist(pool: Any, num_free: int) -> int:  # noqa: ANN401 - private, no public type
    """Take the span listed last out of a list."""
    span: int = pool.lists._by_free[num_free].pop()
    pool.lists._occupied = sum(1 << n for n, spans in enumerate(pool.lists._by_free) if spans)
    return span


def _list(pool: Any, span: int, num_free: int) -> None:  # noqa: ANN401 - as above
    """Put a span where spans with so many free pages stand."""
    pool.lists._position[span] = len(pool.lists._by_free[num_free])
    pool.lists._by_free[num_free].append(span)
    pool.lists._occupied |= 1 << num_free


def _relist(pool: Any, num_free: int, listed: int) -> None:  # noqa: ANN401 - as above
    _list(pool, _unlist(pool, num_free), listed)


# Spans 0, 1 and 2 are empty, 3 has two pages live and 4 all; 5 to 7 are absent.
POOL_DAMAGE: dict[str, Callable[[Any], object]] = {
    "a free page is lost": lambda pool: pool._free.__setitem__(1, 0b0111),
    "a live page is free": lambda pool: pool._free.__setitem__(3, 0b1110),
    "a page of a full span is free": lambda pool: pool._free.__setitem__(4, 1),
    "a page of an absent span is free": lambda pool: pool._free.__setitem__(6, 1),
    "a free page is of another span": lambda pool: pool._free.__setitem__(3, 0b10100),
    "a span is counted with more free": lambda pool: pool.lists.num_free.__setitem__(3, 3),
    "free pages are miscounted": lambda pool: setattr(pool, "_num_free", pool.num_free - 1),
    "pages are miscounted": lambda pool: setattr(pool, "num_pages", pool.num_pages + 4),
    "an empty span is not listed": lambda pool: _unlist(pool, 4),
    "a span in use is not listed": lambda pool: _unlist(pool, 2),
    "an empty span is listed twice": lambda pool: _list(pool, 2, 4),
    "a span is listed with less free": lambda pool: _relist(pool, 2, 1),
    "a span is listed with more free": lambda pool: _relist(pool, 2, 3),
    "an empty span is listed as in use": lambda pool: _relist(pool, 4, 2),
    "a span in use is listed as empty": lambda pool: _relist(pool, 2, 4),
    "a full span is listed": lambda pool: _list(pool, 4, 1),
    "a full span is listed as full": lambda pool: _list(pool, 4, 0),
    "an absent span is listed": lambda pool: _list(pool, 5, 4),
    "an empty span is elsewhere in its list": lambda pool: pool.lists._by_free[4].reverse(),
    "a position is off": lambda pool: pool.lists._position.__setitem__(2, 1),
    "an occupied list is not marked": lambda pool: setattr(pool.lists, "_occupied", 1 << 4),
    "a list without spans is marked": lambda pool: setattr(pool.lists, "_occupied", 0b10110),
    "a list that is not there is marked": lambda pool: setattr(pool.lists, "_occupied", 0b110100),
    "a span is listed as one more": lambda pool: pool.lists._by_free[2].append(99),
    "a mapped span is called absent": lambda pool: pool.lists._absent.append(3),
    "a full span is called absent": lambda pool: pool.lists._absent.append(4),
    "an absent span is called mapped": lambda pool: pool.lists._absent.pop(),
    "a span is absent twice": lambda pool: pool.lists._absent.__setitem__(2, 6),
    "absent spans are out of order": lambda pool: pool.lists._absent.reverse(),
    "a span is absent that never was": lambda pool: pool.lists._absent.__setitem__(2, 8),
}


@pytest.fixture
def pool(host_backing: Callable[[int], HostBacking]) -> SpanPool:
    """Four pages a span; five spans of eight present, and six pages live."""
    pool = SpanPool("test", SpanGeometry(256, 4, 1), host_backing(8), slab_granules=8)
    pool.add_spans(5)
    pool.take(6)
    return pool


@pytest.mark.parametrize("damage", POOL_DAMAGE.values(), ids=POOL_DAMAGE.keys())
def test_a_damaged_pool_is_noticed(damage: Callable[[Any], object], pool: SpanPool) -> None:
    pool.check_integrity()
    damage(pool)
    with pytest.raises(AssertionError, match="pool test"):
        pool.check_integrity()


LIVE = {12, 13, 16, 17, 18, 19}


@pytest.mark.parametrize(
    "pages", [LIVE - {12}, LIVE - {12} | {14}, LIVE - {12} | {0}, LIVE - {19} | {23}, LIVE | {99}]
)
def test_pages_said_to_be_live_must_be_the_taken_ones(pages: set[int], pool: SpanPool) -> None:
    pool.check_live(LIVE)
    with pytest.raises(AssertionError, match="live page"):
        pool.check_live(pages)


# Entries 12 and 13 name pages 20 and 13, entry 20 the page 12; 10 and 11 are free.
TABLE_DAMAGE: dict[str, Callable[[Any], object]] = {
    "a moved entry is forgotten": lambda table: table._page_of[0].pop(12),
    "a moved page is forgotten": lambda table: table._entry_at[0].pop(20),
    "a page left behind is forgotten": lambda table: (
        table._page_of[0].pop(20),
        table._entry_at[0].pop(12),
    ),
    "two handles name one page": lambda table: table._page_of[0].__setitem__(12, 13),
    "two entries name one page": lambda table: table._page_of[0].__setitem__(20, 20),
    "an entry names a page of another": lambda table: (
        table._page_of[0].__setitem__(12, 11),
        table._entry_at[0].__setitem__(11, 12),
    ),
    "a page goes by another's entry": lambda table: table._entry_at[0].__setitem__(20, 13),
    "a page at home is in the books": lambda table: (
        table._page_of[0].__setitem__(5, 5),
        table._entry_at[0].__setitem__(5, 5),
    ),
    "an entry names no page there is": lambda table: (
        table.move(0, 20, 12),
        table._page_of[0].update({12: 24, 24: 12}),
        table._entry_at[0].update({24: 12, 12: 24}),
    ),
    "an entry is half live": lambda table: table._live[0].__setitem__(5, 2),
}


@pytest.mark.parametrize("damage", TABLE_DAMAGE.values(), ids=TABLE_DAMAGE.keys())
def test_a_damaged_page_table_is_noticed(damage: Callable[[Any], object]) -> None:
    table = PageTable(HandleLayout.for_table(2, 24), [24, 24])
    table.issue(0, [(10, 4)])
    table.retire(0, [(10, 2)])
    table.move(0, 12, 20)
    table.check_integrity()
    damage(table)
    with pytest.raises(AssertionError, match="page table"):
        table.check_integrity()
