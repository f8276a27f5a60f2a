"""Corrupts one private thing after another: `check_integrity` must see each of them."""
# ruff: noqa: SLF001 - the point is to write where no caller may

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from allocator.span_pool import SpanPool

if TYPE_CHECKING:
    from collections.abc import Callable

    from allocator.interface import CacheManager
    from allocator.pooled import PooledManager
    from tests.conformance.conftest import Churn


BACKING_DAMAGE: dict[str, Callable[[Any], object]] = {
    "a granule is lost": lambda backing: backing._mapped[0].__setitem__(0, 0),
    "granules are miscounted": lambda backing: setattr(
        backing, "_num_mapped", backing._num_mapped + 1
    ),
    "the budget shrank": lambda backing: setattr(backing, "num_granules", backing._num_mapped - 1),
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


def _runs(manager: Any) -> Any:  # noqa: ANN401 - private structures have no public type
    """The entries that the first sequence holds in the first group, as runs."""
    return manager._register.entries(_held(manager).seat)[0]


def _held(manager: Any) -> Any:  # noqa: ANN401 - as above
    return next(iter(manager._held.values()))


def _pool(manager: Any, has: Callable[[Any], object]) -> tuple[int, Any]:  # noqa: ANN401 - as above
    """The first pool with something to damage; some designs free nothing but whole spans."""
    found = [(number, pool) for number, pool in enumerate(manager._pools) if has(pool)]
    if not found:
        pytest.skip("this design leaves nothing of the kind")
    return found[0]


def _entry(manager: Any, *, is_live: int) -> tuple[Any, int]:  # noqa: ANN401 - as above
    """The flags of the first pool that has a live entry, and the first entry that is or is not."""
    flags = next(flags for flags in manager._table._live if 1 in flags)
    return flags, flags.index(is_live)


def _flip_an_entry(manager: Any, *, is_live: int) -> None:  # noqa: ANN401 - as above
    flags, entry = _entry(manager, is_live=is_live)
    flags[entry] = 1 - is_live


def _move_in_the_table_alone(manager: Any) -> None:  # noqa: ANN401 - as above
    """To a page that is free, so that pool and table contradict each other."""
    number, pool = _pool(manager, lambda pool: pool.num_live and pool.num_free)
    live = next(page for owner, page in manager._table.live_pages() if owner == number)
    ((free, _),) = pool.take(1)
    pool.give([(free, 1)])
    manager._table.move(number, live, free)


def _take_a_page(manager: Any) -> tuple[int, Any]:  # noqa: ANN401 - as above
    number, pool = _pool(manager, lambda pool: pool.num_free)
    return number, pool.take(1)


def _swap_a_free_page_for_a_live_one(manager: Any) -> None:  # noqa: ANN401 - as above
    """Every count stays right; only the page itself is both free and live, another neither."""
    number, pool = _pool(manager, _has_both_in_a_span)
    live = {page for owner, page in manager._table.live_pages() if owner == number}
    if isinstance(pool, SpanPool):
        size = pool.geometry.pages_per_span
        span = next(i for i, free in enumerate(pool._free) if 0 < free.bit_count() < size)
        free = pool._free[span]
        pool._free[span] = free ^ ~free & (free + 1) ^ free & -free
    else:
        pool._free.pop()
        pool._free.add(min(live), 1)


def _has_both_in_a_span(pool: Any) -> bool:  # noqa: ANN401 - as above
    """Whether a free page and a live one lie where either could be the other."""
    if isinstance(pool, SpanPool):
        size = pool.geometry.pages_per_span
        return any(0 < free.bit_count() < size for free in pool._free)
    return bool(pool.num_live and pool.num_free)


def _first_page(manager: Any) -> tuple[int, int]:  # noqa: ANN401 - as above
    """A live page of the first pool, as a run."""
    return next(page for pool, page in manager._table.live_pages() if pool == 0), 1


def _change_a_run(manager: Any, *, first: int = 0, count: int = 0) -> None:  # noqa: ANN401 - as above
    runs = _runs(manager)
    runs[-1] = (runs[-1][0] + first, runs[-1][1] + count)


MANAGER_DAMAGE: dict[str, Callable[[Any], object]] = {
    "a sequence is lost": lambda manager: manager._held.popitem(),
    "a run is lost": lambda manager: _runs(manager).pop(),
    "a run is doubled": lambda manager: _runs(manager).append(_runs(manager)[0]),
    "a run is one page short": lambda manager: _change_a_run(manager, count=-1),
    "a run is one page long": lambda manager: _change_a_run(manager, count=1),
    "a run is one page on": lambda manager: _change_a_run(manager, first=1),
    "a sequence holds what another does": lambda manager: _runs(manager).__setitem__(
        slice(None), manager._register.entries(manager._held[1].seat)[0]
    ),
    "two sequences have one seat": lambda manager: setattr(
        _held(manager), "seat", manager._held[1].seat
    ),
    "a seat is lost": lambda manager: manager._free_seats.append(7),
    "a live entry is called free": lambda manager: _flip_an_entry(manager, is_live=1),
    "a free entry is called live": lambda manager: _flip_an_entry(manager, is_live=0),
    "a sequence has a token too many": lambda manager: setattr(_held(manager), "tokens", 10**6),
    "a sequence has no token": lambda manager: setattr(_held(manager), "tokens", 0),
    "a sequence has a page too many": lambda manager: setattr(
        _held(manager), "tokens", _held(manager).tokens - manager.spec.page_tokens
    ),
    "tokens are miscounted": lambda manager: setattr(manager._granted, "tokens", 1),
    "granted blocks are miscounted": lambda manager: setattr(
        manager._granted, "blocks", manager._granted.blocks + 1
    ),
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


POOL_DAMAGE: dict[str, Callable[[Any], object]] = {
    "a live page is free too": _swap_a_free_page_for_a_live_one,
    "a page moved in the table alone": _move_in_the_table_alone,
    "a page no sequence holds": lambda manager: manager._table.issue(*_take_a_page(manager)),
    "a page left its pool": _take_a_page,
    "a page came to a pool": lambda manager: manager._pools[0].give([_first_page(manager)]),
}


@pytest.mark.parametrize("damage", POOL_DAMAGE.values(), ids=POOL_DAMAGE.keys())
def test_pools_that_contradict_their_manager_are_noticed(
    damage: Callable[[Any], object], paged_manager: PooledManager
) -> None:
    paged_manager.admit(0, 3)
    paged_manager.admit(1, 6)
    paged_manager.check_integrity()
    damage(paged_manager)
    with pytest.raises(AssertionError):
        paged_manager.check_integrity()


def _pass_an_extent_on(bound: Any) -> None:  # noqa: ANN401 - as above
    """The number of all extents stays right."""
    first, count = bound._extents[0].pop()
    bound._extents[0] += [(first, count - 1)]
    bound._extents[1].append((first + count - 1, 1))


BOUND_DAMAGE: dict[str, Callable[[Any], object]] = {
    "a sequence is lost": lambda manager: manager._tokens.popitem(),
    "used bytes are miscounted": lambda manager: setattr(manager, "_used_bytes", 1),
    "a sequence's extents are lost": lambda manager: manager._extents.popitem(),
    "an extent is lost": lambda manager: manager._extents[0].pop(),
    "a sequence holds what another does": lambda manager: manager._extents.__setitem__(
        0, manager._extents[1]
    ),
    "an extent is another": lambda manager: manager._extents[0].__setitem__(
        -1, (manager._extents[0][-1][0] + 1, manager._extents[0][-1][1])
    ),
    "a name is lost": lambda manager: manager._table.retire(0, manager._extents[0]),
    "a name belongs to no sequence": lambda manager: manager._table.issue(
        0, manager._free_extents[0]
    ),
    "free extents are lost": lambda manager: manager._free_extents.pop(),
    "free extents are doubled": lambda manager: manager._free_extents.append(
        manager._free_extents[0]
    ),
    "live extents are free": lambda manager: manager._free_extents.append(manager._extents[1]),
    "a group's extent went to another sequence": _pass_an_extent_on,
}


@pytest.mark.parametrize("damage", BOUND_DAMAGE.values(), ids=BOUND_DAMAGE.keys())
def test_a_damaged_bound_is_noticed(
    damage: Callable[[Any], object], new_bound: Callable[[], CacheManager]
) -> None:
    bound = new_bound()
    for sequence in (2, 0, 1):
        bound.admit(sequence, 3)
    bound.release(2)
    bound.check_integrity()
    damage(bound)
    with pytest.raises(AssertionError):
        bound.check_integrity()


def test_a_churned_manager_is_sound(manager: CacheManager, churn: Churn) -> None:
    for _ in range(20):
        churn.run(10)
        manager.check_integrity()
