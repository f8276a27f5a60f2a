"""The parts of the paper's allocators, each by hand."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from allocator.backing import HostBacking
from allocator.interface import Migration, OutOfMemoryError
from allocator.paper.aliased_release import AliasedRelease
from allocator.paper.eviction import EvictEnough, EvictOne, OldestFirst, OldestOther
from allocator.paper.holdings import Holdings, ListedHoldings, OwnedHoldings
from allocator.paper.interface import KV, STATE
from allocator.paper.layer_pools import HeldPool, LayerPools
from allocator.paper.migration import (
    FreeTail,
    MigrateOnFailure,
    OneBatch,
    RelocatedTail,
    WholeBatches,
)
from allocator.paper.oversized_backing import OversizedBacking
from allocator.paper.recovering import FailedCall, Recovering
from allocator.paper.restrained import Restrained, Restraints
from allocator.paper.searched_holdings import LiveHandles, SearchedHoldings
from allocator.paper.stack_pool import StackPool

PAGE = 128
BIG = 4 * PAGE


@dataclass
class Seen:
    """Remembers what an allocator told."""

    told: list[tuple[object, ...]] = field(default_factory=list)

    def evicted(self, victim: int, pool: int, num_pages: int, asker: int) -> None:
        self.told.append(("evicted", victim, pool, num_pages, asker))

    def freed_by_other(self, owner: int, pool: int, num_pages: int, caller: int) -> None:
        self.told.append(("freed", owner, pool, num_pages, caller))

    def migrated(self, migration: Migration) -> None:
        self.told.append(("migrated", migration.donor, migration.recipient, migration.num_bytes))

    def migration_blocked(self, recipient: int) -> None:
        self.told.append(("blocked", recipient))


def stack(num_pages: int = 4, spare: int = 0) -> StackPool:
    backing = HostBacking((num_pages + spare) * PAGE, PAGE)
    return StackPool("kv", PAGE, backing, num_pages * PAGE)


def two_pools(kv_pages: int = 8, state_pages: int = 4) -> LayerPools:
    backing = HostBacking(kv_pages * PAGE + state_pages * BIG, PAGE)
    kv = StackPool("kv", PAGE, backing, kv_pages * PAGE)
    state = StackPool("state", BIG, backing, state_pages * BIG)
    held = (HeldPool(kv, ListedHoldings()), HeldPool(state, ListedHoldings()))
    return LayerPools(held, (0, 1), backing)


def test_low_pages_lie_on_top_and_the_last_one_given_is_the_first_taken() -> None:
    pool = stack()
    assert pool.take(3) == [0, 1, 2]
    pool.give([1, 0])
    assert pool.take(1) == [0]
    assert pool.take(2) == [1, 3]
    assert (pool.num_live, pool.num_free) == (4, 0)
    pool.check_integrity()


def test_a_pool_that_has_too_few_gives_none() -> None:
    pool = stack()
    pool.take(2)
    with pytest.raises(OutOfMemoryError, match="3 asked, 2 free"):
        pool.take(3)
    assert pool.num_free == 2
    assert pool.take(0) == []


def test_new_pages_are_taken_first_from_the_highest() -> None:
    pool = stack(spare=2)
    pool.grow(2 * PAGE)
    assert pool.take(3) == [5, 4, 0]


def test_a_tail_goes_only_if_nobody_holds_it() -> None:
    pool = stack()
    pool.take(3)
    pool.cut(PAGE)
    assert pool.num_pages == 3
    with pytest.raises(ValueError, match="cannot go"):
        pool.cut(PAGE)
    with pytest.raises(ValueError, match="cannot go"):
        pool.cut(9 * PAGE)


def test_bytes_below_a_page_count_as_capacity() -> None:
    backing = HostBacking(4 * BIG, PAGE)
    pool = StackPool("state", BIG, backing, BIG + PAGE)
    assert (pool.num_pages, pool.capacity_bytes) == (1, BIG + PAGE)
    pool.grow(3 * PAGE)
    assert pool.num_pages == 2
    with pytest.raises(ValueError, match="whole granules"):
        StackPool("odd", PAGE + 1, backing, 0)


def test_live_pages_move_below_a_tail_and_are_copied_once() -> None:
    backing = HostBacking(4 * PAGE, PAGE)
    pool = StackPool("kv", PAGE, backing, 4 * PAGE)
    pool.take(4)
    pool.give([1, 0])
    moved = pool.relocate([2, 3], below=2)
    assert moved == {2: 0, 3: 1}
    assert backing.counters().copied_bytes == 2 * PAGE
    pool.cut(2 * PAGE)
    assert pool.num_live == 2
    with pytest.raises(ValueError, match="no room"):
        pool.relocate([1], below=1)


@pytest.mark.parametrize("kind", [ListedHoldings, OwnedHoldings])
def test_who_was_given_pages_last_comes_last(kind: type[Holdings]) -> None:
    holdings = kind()
    for request, pages in ((1, [10, 11]), (2, [20]), (1, [12])):
        holdings.add(request, pages)
    assert list(holdings) == [2, 1]
    assert holdings.pop(1) == [10, 11, 12]
    assert holdings.pop(1) == []
    holdings.rename({20: 21})
    assert (holdings.pages(), holdings.num_pages_of(2)) == ([21], 1)
    holdings.check_integrity()


def test_a_page_can_be_taken_from_its_owner() -> None:
    holdings = OwnedHoldings()
    holdings.add(1, [10, 11])
    assert holdings.take_away(10) == 1
    assert (holdings.owner_of(10), holdings.owner_of(11)) == (None, 1)
    holdings.take_away(11)
    assert list(holdings) == []


def test_a_search_finds_what_the_key_gives() -> None:
    live = LiveHandles()
    kv, state = SearchedHoldings(live), SearchedHoldings(live)
    kv.add(1, [5, 6])
    state.add(1, [5])
    kv.add(2, [7])
    assert live.search(kv, {5, 7}) == [1, 4]
    assert kv.evict(1) == [5, 6]
    assert kv.pop(2) == [7]
    kv.check_integrity()
    state.check_integrity()
    assert live.num_of(state) == 1


def failing(pools: LayerPools, request: int, count: int, group: int = KV) -> FailedCall:
    with pytest.raises(OutOfMemoryError):
        pools.allocate(request, group, count)
    return FailedCall(request, group, count)


def test_the_paper_evicts_one_even_if_it_is_the_asker_or_does_not_help() -> None:
    pools, seen = two_pools(), Seen()
    pools.allocate(1, KV, 3)
    pools.allocate(2, KV, 3)
    call = failing(pools, 1, 8)
    assert EvictOne(pools.held_pools, OldestFirst(), seen).make_room(call)
    assert seen.told == [("evicted", 1, 0, 3, 1)]
    assert pools.held_pools[0].pool.num_free == 5


def test_the_asker_is_spared_and_nobody_goes_for_nothing() -> None:
    pools, seen = two_pools(), Seen()
    for request in (1, 2, 3):
        pools.allocate(request, KV, 2)
    enough = EvictEnough(pools.held_pools, OldestOther(), seen)
    assert not enough.make_room(failing(pools, 1, 7))
    assert seen.told == []
    assert enough.make_room(failing(pools, 1, 5))
    assert [told[1] for told in seen.told] == [2, 3]
    pools.check_integrity()


def test_nobody_can_be_evicted_from_a_pool_that_nobody_holds() -> None:
    pools, seen = two_pools(), Seen()
    call = failing(pools, 1, 9)
    assert not EvictOne(pools.held_pools, OldestFirst(), seen).make_room(call)


def migration(pools: LayerPools, seen: Seen, **parts: object) -> MigrateOnFailure:
    amount, cut = parts.get("amount", OneBatch(1)), parts.get("cut", FreeTail())
    return MigrateOnFailure(pools.held_pools, amount, cut, seen)  # type: ignore[arg-type]


def test_one_batch_moves_from_a_free_tail() -> None:
    pools, seen = two_pools(), Seen()
    pools.allocate(1, STATE, 3)
    call = failing(pools, 1, 12)
    assert migration(pools, seen).make_room(call)
    assert pools.allocate(1, KV, 12)[:4] == [11, 10, 9, 8]
    assert not migration(pools, seen).make_room(failing(pools, 1, 1))
    assert seen.told == [("migrated", 1, 0, BIG), ("blocked", 0)]
    pools.check_integrity()


def test_as_many_batches_move_as_end_the_shortage_or_none() -> None:
    pools, seen = two_pools(), Seen()
    whole = migration(pools, seen, amount=WholeBatches(1))
    assert not whole.make_room(failing(pools, 1, 25))
    assert whole.make_room(failing(pools, 1, 15))
    assert seen.told == [("blocked", 0), ("migrated", 1, 0, 2 * BIG)]
    assert pools.held_pools[0].pool.num_pages == 16


def test_a_held_tail_is_copied_away_if_there_is_room_below() -> None:
    pools, seen = two_pools(), Seen()
    pools.allocate(1, STATE, 3)
    pools.allocate(2, STATE, 1)
    pools.release(1)
    call = failing(pools, 1, 9)
    assert not migration(pools, seen).make_room(call)
    assert migration(pools, seen, cut=RelocatedTail()).make_room(call)
    assert pools.held_pools[1].holdings.pages() == [2]
    pools.check_integrity()


def test_kv_pages_that_make_no_whole_state_are_lost() -> None:
    pools, seen = two_pools(), Seen()
    pools.allocate(1, STATE, 4)
    assert migration(pools, seen, amount=OneBatch(5)).make_room(failing(pools, 2, 1, STATE))
    kv, state = (held.pool for held in pools.held_pools)
    assert (kv.num_pages, state.num_pages) == (3, 5)
    assert seen.told == [("migrated", 0, 1, 5 * PAGE)]


def test_restraints_hold_a_migration_back_until_enough_calls_have_passed() -> None:
    pools, seen = two_pools(state_pages=8), Seen()
    held_back = Restrained(migration(pools, seen), pools, Restraints(0.3, 0.2, operations=5))
    pools.allocate(1, KV, 8)
    assert held_back.make_room(failing(pools, 1, 1))
    pools.allocate(1, KV, 4)
    assert not held_back.make_room(failing(pools, 1, 1))
    for _ in range(5):
        pools.release(2)
    assert held_back.make_room(failing(pools, 1, 1))
    kv, state = (held.pool for held in pools.held_pools)
    assert kv.num_free / kv.num_pages == 0.25
    assert Restraints(0.9, 0.3).allow(state, kv)
    assert not Restraints(1.0, 0.3).allow(state, kv)
    assert not Restraints(0.9, 0.25).allow(state, kv)


def test_remedies_are_tried_in_order_and_the_last_failure_is_told() -> None:
    pools, seen = two_pools(), Seen()
    evict = EvictOne(pools.held_pools, OldestFirst(), seen)
    allocator = Recovering(pools, [evict, migration(pools, seen)])
    allocator.allocate(1, KV, 6)
    assert len(allocator.allocate(2, KV, 12)) == 12
    assert [told[0] for told in seen.told] == ["evicted", "migrated"]
    with pytest.raises(OutOfMemoryError, match="40 asked, 16 free"):
        allocator.allocate(3, KV, 40)
    allocator.check_integrity()


def padded(seen: Seen) -> tuple[AliasedRelease, OwnedHoldings]:
    backing = HostBacking(4 * PAGE, PAGE)
    pool, owned = StackPool("unified", PAGE, backing, 4 * PAGE), OwnedHoldings()
    held = (HeldPool(pool, owned),)
    pools = LayerPools(held, (0, 0), backing)
    evicting = Recovering(pools, [EvictOne(held, OldestFirst(), seen)])
    return AliasedRelease(evicting, pool, owned, seen), owned


def test_an_evicted_request_frees_the_pages_of_others_when_it_leaves() -> None:
    seen = Seen()
    allocator, owned = padded(seen)
    allocator.allocate(1, KV, 3)
    allocator.allocate(2, KV, 3)
    allocator.release(1)
    assert seen.told == [("evicted", 1, 0, 3, 2), ("freed", 2, 0, 3, 1)]
    assert owned.num_pages_of(2) == 0
    allocator.check_integrity()
    allocator.release(2)
    assert allocator.pools()[0].num_live == 0


def test_an_oversized_backing_occupies_the_budget_for_every_slab() -> None:
    books, memory = HostBacking(8 * PAGE, PAGE), HostBacking(16 * PAGE, PAGE)
    backing = OversizedBacking(books, memory)
    kv = StackPool("kv", PAGE, backing, 4 * PAGE)
    state = StackPool("state", PAGE, backing, 4 * PAGE)
    pools = LayerPools(
        (HeldPool(kv, ListedHoldings()), HeldPool(state, ListedHoldings())), (0, 1), memory
    )
    assert (backing.num_free_granules, pools.footprint_bytes()) == (0, 16 * PAGE)
    state.cut(2 * PAGE)
    kv.grow(2 * PAGE)
    assert pools.footprint_bytes() == 16 * PAGE
    assert backing.counters().maps == 2
    backing.check_integrity()
