"""Corrupts one private thing after another: `check_integrity` must see each of them."""
# ruff: noqa: SLF001 - the point is to write where no caller may

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from allocator.handle import HandleLayout
from allocator.page_table import PageTable
from allocator.pool import Pool, SpanGeometry

if TYPE_CHECKING:
    from collections.abc import Callable

    from allocator.backing import HostBacking
    from allocator.interface import CacheManager
    from allocator.pooled import PooledManager
    from tests.conformance.conftest import Churn

POOL_DAMAGE: dict[str, Callable[[Any], object]] = {
    "a free page is lost": lambda pool: pool._free[1].pop(),
    "a free page is doubled": lambda pool: pool._free[1].append(pool._free[1][0]),
    "a free page is of another span": lambda pool: pool._free[1].__setitem__(0, 0),
    "free pages are miscounted": lambda pool: setattr(pool, "num_free", pool.num_free - 1),
    "pages are miscounted": lambda pool: setattr(pool, "num_pages", pool.num_pages + 4),
    "an empty span is not listed": lambda pool: pool._empty.pop(),
    "an empty span is listed twice": lambda pool: pool._empty.append(pool._empty[-1]),
    "empty spans are out of order": lambda pool: pool._empty.reverse(),
    "a partial span is not listed": lambda pool: pool._partial.clear(),
    "a full span is listed partial": lambda pool: pool._partial.insert(0, 0),
    "a mapped span is called absent": lambda pool: pool._absent.append(3),
    "an absent span is called mapped": lambda pool: pool._absent.pop(),
}


@pytest.mark.parametrize("damage", POOL_DAMAGE.values(), ids=POOL_DAMAGE.keys())
def test_a_damaged_pool_is_noticed(
    damage: Callable[[Any], object], host_backing: Callable[[int], HostBacking]
) -> None:
    pool = Pool("test", SpanGeometry(256, 4, 1), host_backing(6), max_spans=6)
    pool.add_spans(5)
    pool.take(6)
    pool.check_integrity()
    damage(pool)
    with pytest.raises(AssertionError, match="pool test"):
        pool.check_integrity()


@pytest.mark.parametrize("pages", [{0, 1, 2}, {0, 1, 2, 3, 4, 6}, {0, 1, 2, 3, 4, 23}])
def test_pages_said_to_be_live_must_be_the_taken_ones(
    pages: set[int], host_backing: Callable[[int], HostBacking]
) -> None:
    pool = Pool("test", SpanGeometry(256, 4, 1), host_backing(6), max_spans=6)
    pool.add_spans(5)
    pool.check_live(set(pool.take(6)))
    with pytest.raises(AssertionError, match="live page"):
        pool.check_live(pages)


TABLE_DAMAGE: dict[str, Callable[[Any], object]] = {
    "an entry is free twice": lambda table: table._free.append(table._free[0]),
    "a free entry is lost": lambda table: table._free.pop(),
    "a live entry is called free": lambda table: table._free.append(0),
    "a live entry has no handle": lambda table: table._handle.__setitem__(0, 0),
    "a handle names another entry": lambda table: table._handle.__setitem__(0, table._handle[1]),
    "a generation is off": lambda table: table._generation.__setitem__(0, 9),
    "two handles name one page": lambda table: table._page.__setitem__(0, table._page[1]),
}


@pytest.mark.parametrize("damage", TABLE_DAMAGE.values(), ids=TABLE_DAMAGE.keys())
def test_a_damaged_page_table_is_noticed(damage: Callable[[Any], object]) -> None:
    table = PageTable(HandleLayout.for_table(2, 8))
    handles = table.issue(0, [10, 11, 12, 13])
    table.retire(handles[:2])
    table.check_integrity()
    damage(table)
    with pytest.raises(AssertionError, match="page table"):
        table.check_integrity()


BACKING_DAMAGE: dict[str, Callable[[Any], object]] = {
    "a granule is lost": lambda backing: backing._mapped[0].__setitem__(0, 0),
    "granules are miscounted": lambda backing: setattr(backing, "_num_mapped", 1),
    "the budget shrank": lambda backing: setattr(backing, "num_granules", 1),
}


@pytest.mark.parametrize("damage", BACKING_DAMAGE.values(), ids=BACKING_DAMAGE.keys())
def test_a_damaged_backing_is_noticed_by_every_manager(
    damage: Callable[[Any], object], manager: CacheManager
) -> None:
    manager.admit(0, 6)  # some managers map nothing before
    manager.check_integrity()
    damage(manager.backing)
    with pytest.raises(AssertionError):
        manager.check_integrity()


def _held(manager: Any) -> Any:  # noqa: ANN401 - private structures have no public type
    return next(iter(manager._held.values()))


def _number_of_a_pool(manager: Any, has: Callable[[Any], object]) -> int:  # noqa: ANN401 - as above
    """Of the first pool with something to damage; some designs free nothing but whole spans."""
    found = [number for number, pool in enumerate(manager._pools) if has(pool)]
    if not found:
        pytest.skip("every page that is mapped is live")
    return found[0]


def _take_a_page(manager: Any) -> tuple[int, Any]:  # noqa: ANN401 - as above
    number = _number_of_a_pool(manager, lambda pool: pool.num_free)
    return number, manager._pools[number].take(1)


def _swap_a_free_page_for_a_live_one(manager: Any) -> None:  # noqa: ANN401 - as above
    """Every count stays right; only the page itself is both free and live, another neither."""
    pool = manager._pools[_number_of_a_pool(manager, lambda pool: pool._partial)]
    span = pool._partial[0]
    free, per_span = pool._free[span], pool.geometry.pages_per_span
    live = next(p for p in range(span * per_span, (span + 1) * per_span) if p not in free)
    free[0] = live


MANAGER_DAMAGE: dict[str, Callable[[Any], object]] = {
    "a sequence is lost": lambda manager: manager._held.popitem(),
    "a handle is lost": lambda manager: _held(manager).handles[0].pop(),
    "a handle is doubled": lambda manager: (
        _held(manager).handles[0].append(_held(manager).handles[0][0])
    ),
    "a sequence has a token too many": lambda manager: setattr(_held(manager), "tokens", 10**6),
    "a sequence has no token": lambda manager: setattr(_held(manager), "tokens", 0),
    "a sequence has a page too many": lambda manager: setattr(
        _held(manager), "room_tokens", _held(manager).room_tokens + manager.spec.page_tokens
    ),
    "tokens are miscounted": lambda manager: setattr(manager, "_live_tokens", 1),
    "granted bytes are miscounted": lambda manager: setattr(manager, "_granted_bytes", 1),
    "the peak is forgotten": lambda manager: setattr(manager, "_peak_granted_bytes", 0),
    "a live page is free too": _swap_a_free_page_for_a_live_one,
    "a page no sequence holds": lambda manager: manager._table.issue(*_take_a_page(manager)),
    "a page left its pool": _take_a_page,
}


@pytest.mark.parametrize("damage", MANAGER_DAMAGE.values(), ids=MANAGER_DAMAGE.keys())
def test_a_damaged_paged_manager_is_noticed(
    damage: Callable[[Any], object], paged_manager: PooledManager
) -> None:
    paged_manager.admit(0, 3)
    paged_manager.admit(1, 6)
    paged_manager.check_integrity()
    damage(paged_manager)
    with pytest.raises(AssertionError):
        paged_manager.check_integrity()


BOUND_DAMAGE: dict[str, Callable[[Any], object]] = {
    "a sequence is lost": lambda manager: manager._tokens.popitem(),
    "used bytes are miscounted": lambda manager: setattr(manager, "_used_bytes", 1),
    "an extent is lost": lambda manager: manager._handles.popitem(),
    "a name is lost": lambda manager: manager._table.retire(manager._handles[0]),
}


@pytest.mark.parametrize("damage", BOUND_DAMAGE.values(), ids=BOUND_DAMAGE.keys())
def test_a_damaged_bound_is_noticed(
    damage: Callable[[Any], object], new_bound: Callable[[], CacheManager]
) -> None:
    bound = new_bound()
    bound.admit(0, 3)
    bound.admit(1, 6)
    bound.check_integrity()
    damage(bound)
    with pytest.raises(AssertionError):
        bound.check_integrity()


def test_a_churned_manager_is_sound(manager: CacheManager, churn: Churn) -> None:
    for _ in range(20):
        churn.run(10)
        manager.check_integrity()
