"""Live pages at the end of a pool of `avmp`: copied down, or in the way.

16 granules of 1 KiB, half for each pool: a granule is 4 KV pages of 4 tokens, or 2 states.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from allocator.backing import HostBacking
from allocator.handle import StaleHandleError
from allocator.interface import Migration, OutOfMemoryError
from allocator.managers.avmp import AvmpManager, AvmpOptions, Switch
from allocator.row_pool import Placement
from allocator.spec import CacheGroup, CacheKind, CacheSpec

if TYPE_CHECKING:
    from collections.abc import Iterable

KV, STATE = 0, 1
SPEC = CacheSpec(
    (CacheGroup("kv", CacheKind.ATTENTION, 1, 64), CacheGroup("ssm", CacheKind.STATE, 1, 512)), 4
)
PLAIN = AvmpOptions(batch=1, unit=1)
STUCK = replace(PLAIN, relocation=Switch.OFF)


@pytest.fixture
def backing() -> HostBacking:
    return HostBacking(16 * 1024, 1024)


def avmp(backing: HostBacking, options: AvmpOptions = PLAIN) -> AvmpManager:
    return AvmpManager(SPEC, backing, options)


def pages(manager: AvmpManager) -> list[int]:
    return [pool.num_pages for pool in manager.usage().pools]


def handles(manager: AvmpManager, sequences: Iterable[int]) -> list[int]:
    return [h for s in sequences for group in ("kv", "ssm") for h in manager.block_table(s, group)]


def places(manager: AvmpManager, sequences: Iterable[int]) -> list[tuple[int, int]]:
    """(pool, page) of everything that some sequences hold."""
    page = manager._table.page  # noqa: SLF001 - no caller needs to know
    return [page(handle) for handle in handles(manager, sequences)]


def test_live_pages_stay_where_they_are_if_the_end_is_free(backing: HostBacking) -> None:
    manager = avmp(backing, replace(PLAIN, batch=128))
    for sequence in range(5):
        manager.admit(sequence, 9)
    before = places(manager, range(5))
    manager.admit(9, 30 * 4)
    assert len(manager.take_migrations()) == 1
    assert places(manager, range(5)) == before
    assert backing.counters().copies == 0
    manager.check_integrity()


def scattered_states(backing: HostBacking, options: AvmpOptions) -> AvmpManager:
    """Sixteen states in eight granules, of which 0, 2, 4, 6, 8 and 10 stay: two granules' end."""
    manager = avmp(backing, options)
    for sequence in range(16):
        manager.admit(sequence, 1)
    for sequence in range(16):
        if sequence % 2 or sequence >= 12:
            manager.release(sequence)
    return manager


@pytest.mark.parametrize(
    ("options", "asked", "most"), [(STUCK, 43, 26 + 2 * 4), (PLAIN, 47, 26 + 5 * 4)]
)
def test_a_failing_call_moves_nothing(
    backing: HostBacking, options: AvmpOptions, asked: int, most: int
) -> None:
    manager = scattered_states(backing, options)
    before, mapped, where = manager.usage(), backing.counters(), places(manager, [0, 2, 4])
    with pytest.raises(OutOfMemoryError) as caught:
        manager.extend(0, asked * 4)
    assert (caught.value.asked, caught.value.free, caught.value.largest) == (asked, 26, most)
    assert caught.value.migration_blocked is (options is STUCK)
    assert manager.usage() == before
    assert places(manager, [0, 2, 4]) == where
    assert backing.counters() == mapped
    assert manager.take_migrations() == []


def test_free_bytes_below_a_live_page_are_reported_as_blocked(backing: HostBacking) -> None:
    """Of 10 free states 4 are the end, 2 granules; all would be worth 5 granules, 20 pages."""
    manager = scattered_states(backing, STUCK)
    for asked, blocked in ((26 + 8 + 1, True), (26 + 20, True), (26 + 21, False)):
        with pytest.raises(OutOfMemoryError) as caught:
            manager.extend(0, asked * 4)
        assert caught.value.migration_blocked is blocked
    manager.extend(0, (26 + 8) * 4)
    assert backing.counters().copies == 0


def test_pages_at_the_end_are_copied_down_and_keep_their_handles(backing: HostBacking) -> None:
    """17 KV pages more are worth 5 granules: 2 are free, in 3 others there is a live state each."""
    manager = scattered_states(backing, PLAIN)
    sequences = range(0, 12, 2)
    names = handles(manager, sequences)
    assert [page for pool, page in places(manager, sequences) if pool == STATE] == [*sequences]
    manager.extend(0, 43 * 4)
    manager.check_integrity()
    assert pages(manager) == [13 * 4, 3 * 2]
    assert manager.take_migrations() == [Migration(STATE, KV, 5 * 1024)]
    assert (backing.counters().copies, backing.counters().copied_bytes) == (1, 3 * 512)
    assert set(names) <= set(handles(manager, sequences))
    states = [page for pool, page in places(manager, sequences) if pool == STATE]
    assert states == [0, 2, 4, 1, 3, 5]


def test_a_batch_does_not_copy_beyond_need(backing: HostBacking) -> None:
    """Three granules are needed: two are free, one is emptied; the batch of five would cost two."""
    manager = scattered_states(backing, replace(PLAIN, batch=5))
    manager.extend(0, (26 + 9) * 4)
    assert manager.take_migrations() == [Migration(STATE, KV, 3 * 1024)]
    assert backing.counters().copied_bytes == 512


def test_sequences_come_and_go_after_a_relocation(backing: HostBacking) -> None:
    manager = scattered_states(backing, PLAIN)
    manager.extend(0, 43 * 4)
    for sequence in range(0, 12, 2):
        stale = handles(manager, [sequence])
        manager.release(sequence)
        manager.check_integrity()
        for handle in stale:
            with pytest.raises(StaleHandleError):
                manager._table.page(handle)  # noqa: SLF001 - no caller needs to know
    for sequence in range(6):
        manager.admit(sequence, 4)
    manager.check_integrity()
    assert len(set(places(manager, range(6)))) == 12


def eight_then_two(backing: HostBacking, options: AvmpOptions) -> AvmpManager:
    """Eight sequences come and go before two that stay."""
    manager = avmp(backing, options)
    for sequence in range(8):
        manager.admit(sequence, 1)
    for sequence in range(8):
        manager.release(sequence)
    manager.admit(8, 1)
    manager.admit(9, 1)
    return manager


def test_low_pages_leave_the_end_free(backing: HostBacking) -> None:
    """30 KV pages are free; 20 more are five granules, and states fill one of eight."""
    manager = eight_then_two(backing, STUCK)
    assert places(manager, [8, 9]) == [(KV, 0), (STATE, 0), (KV, 1), (STATE, 1)]
    manager.extend(8, 50 * 4)
    assert manager.take_migrations() == [Migration(STATE, KV, 5 * 1024)]
    assert backing.counters().copies == 0


def test_pages_in_turn_stand_in_the_way_unless_they_are_copied(backing: HostBacking) -> None:
    """States 8 and 9 are the fifth granule: three are free behind it, where five are needed."""
    manager = eight_then_two(backing, replace(STUCK, placement=Placement.NEXT))
    assert places(manager, [8, 9]) == [(KV, 8), (STATE, 8), (KV, 9), (STATE, 9)]
    with pytest.raises(OutOfMemoryError) as caught:
        manager.extend(8, 50 * 4)
    assert (caught.value.largest, caught.value.migration_blocked) == (30 + 3 * 4, True)
    moving = eight_then_two(HostBacking(16 * 1024, 1024), replace(PLAIN, placement=Placement.NEXT))
    moving.extend(8, 50 * 4)
    assert moving.backing.counters().copied_bytes == 2 * 512
    assert [place for place in places(moving, [8, 9]) if place[0] == STATE] == [(1, 0), (1, 1)]
