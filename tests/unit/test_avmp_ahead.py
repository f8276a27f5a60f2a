"""Capacity of `avmp` that moves while a step runs: 8 granules of 4 KV pages, 8 of 2 states."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from allocator.backing import HostBacking
from allocator.interface import Migration
from allocator.managers.avmp import AvmpManager, AvmpOptions, Switch, Trigger
from allocator.rebalance.restraints import Direction
from allocator.spec import CacheGroup, CacheKind, CacheSpec

if TYPE_CHECKING:
    from collections.abc import Callable

KV, STATE = 0, 1
SPEC = CacheSpec(
    (CacheGroup("kv", CacheKind.ATTENTION, 1, 64), CacheGroup("ssm", CacheKind.STATE, 1, 512)), 4
)
PLAIN = AvmpOptions(batch=1, unit=1)


def avmp(options: AvmpOptions = PLAIN) -> AvmpManager:
    return AvmpManager(SPEC, HostBacking(16 * 1024, 1024), options)


def full_of_states(options: AvmpOptions = PLAIN) -> AvmpManager:
    """Eight states fill 4 granules, 8 KV pages 2 of the other 12."""
    manager = avmp(replace(options, state_ratio=0.25))
    for sequence in range(8):
        manager.admit(sequence, 4)
    return manager


def pages(manager: AvmpManager) -> list[int]:
    return [pool.num_pages for pool in manager.usage().pools]


def test_what_the_head_of_the_queue_lacks_moves_before_it_is_admitted() -> None:
    manager = avmp()
    manager.prepare(33 * 4)
    assert pages(manager) == [9 * 4, 7 * 2]
    assert manager.take_migrations() == [Migration(STATE, KV, 1024)]
    done = manager.backing.counters()
    manager.prepare(33 * 4)
    manager.admit(0, 33 * 4)
    assert manager.backing.counters() == done
    assert manager.take_migrations() == []
    manager.check_integrity()


def test_states_get_theirs_too() -> None:
    manager = full_of_states()
    manager.prepare(4)
    assert pages(manager) == [11 * 4, 5 * 2]
    assert manager.take_migrations() == [Migration(KV, STATE, 1024)]
    manager.admit(8, 4)
    assert manager.take_migrations() == []


def test_what_is_there_already_moves_nothing() -> None:
    manager = avmp()
    manager.prepare(32 * 4)
    assert manager.take_migrations() == []


def test_nothing_moves_before_anything_is_known() -> None:
    manager = avmp()
    manager.prepare(0)
    assert manager.take_migrations() == []


def test_the_donor_keeps_what_the_same_admission_takes() -> None:
    """200 blocks would need 42 granules; seven of eight go, one holds the state."""
    manager = avmp()
    manager.prepare(200 * 4)
    assert pages(manager) == [15 * 4, 2]


def test_two_full_pools_give_each_other_nothing() -> None:
    manager = avmp()
    for sequence in range(16):
        manager.admit(sequence, 8)
    manager.prepare(4)
    assert manager.take_migrations() == []


def test_only_a_free_end_moves_and_the_rest_is_copied_at_need() -> None:
    """6 + 39 KV pages need four granules more; behind state 10 only two are free."""
    manager = avmp()
    for sequence in range(16):
        manager.admit(sequence, 4)
    for sequence in range(16):
        if sequence % 2 or sequence >= 12:
            manager.release(sequence)
    tables = [manager.block_table(sequence, "ssm") for sequence in range(0, 12, 2)]
    manager.prepare(39 * 4)
    assert manager.take_migrations() == [Migration(STATE, KV, 2048)]
    assert manager.backing.counters().copies == 0
    manager.admit(16, 39 * 4)
    assert manager.take_migrations() == [Migration(STATE, KV, 2048)]
    assert manager.backing.counters().copied_bytes == 2 * 512  # states 8 and 10
    assert [manager.block_table(sequence, "ssm") for sequence in range(0, 12, 2)] == tables
    manager.check_integrity()


@pytest.mark.parametrize(("next_blocks", "units"), [(1, 0), (2, 0), (3, 1), (6, 1), (7, 2)])
def test_every_running_sequence_may_need_a_block_beside_the_admission(
    next_blocks: int, units: int
) -> None:
    """27 live pages of 32, and one more for each of three sequences."""
    manager = avmp()
    for sequence in range(3):
        manager.admit(sequence, 9 * 4)
    manager.prepare(next_blocks * 4)
    assert pages(manager) == [(8 + units) * 4, (8 - units) * 2]


def test_while_nobody_waits_a_mean_admission_should_fit() -> None:
    """After 27 blocks an eighth of them, which rounds to 3: 27 + 3 + 1 pages."""
    manager = avmp()
    manager.admit(0, 27 * 4)
    manager.prepare(0)
    assert manager.take_migrations() == []
    manager.admit(1, 4)  # 3.375 + (1 - 3.375) / 8 = 3.08: 28 + 3 + 2 pages
    manager.prepare(0)
    assert manager.take_migrations() == [Migration(STATE, KV, 1024)]


def test_growth_counts_where_no_admission_is_expected() -> None:
    """A single block admitted is 1 / 8 of one on the whole; the state pool may then give all."""
    manager = avmp()
    manager.admit(0, 4)
    manager.extend(0, 30 * 4)
    manager.prepare(0)
    assert manager.take_migrations() == []
    manager.extend(0, 4)
    manager.prepare(0)
    assert manager.take_migrations() == [Migration(STATE, KV, 1024)]


@pytest.mark.parametrize("direction", Direction)
def test_capacity_moves_ahead_only_where_it_may(direction: Direction) -> None:
    options = replace(PLAIN, direction=direction)
    to_kv, to_state = avmp(options), full_of_states(options)
    to_kv.prepare(33 * 4)
    to_state.prepare(4)
    moved = [bool(manager.take_migrations()) for manager in (to_kv, to_state)]
    assert moved == [direction.allows(KV), direction.allows(STATE)]


@pytest.mark.parametrize(
    "options", [replace(PLAIN, ahead=Switch.OFF), replace(PLAIN, trigger=Trigger.OFF)]
)
@pytest.mark.parametrize("new", [avmp, full_of_states])
def test_switched_off_nothing_moves_ahead(
    options: AvmpOptions, new: Callable[[AvmpOptions], AvmpManager]
) -> None:
    manager = new(options)
    before = pickle.dumps(manager)
    for tokens in (0, 4, 33 * 4):
        manager.prepare(tokens)
    assert pickle.dumps(manager) == before


def test_without_relocation_what_is_free_moves_ahead_all_the_same() -> None:
    manager = full_of_states(replace(PLAIN, relocation=Switch.OFF))
    manager.prepare(4)
    assert manager.take_migrations() == [Migration(KV, STATE, 1024)]


def test_units_move_whole() -> None:
    """33 pages fit nine granules; with units of three KV starts with 1 + 6 and gets three."""
    manager = avmp(replace(PLAIN, unit=3))
    manager.prepare(33 * 4)
    assert pages(manager) == [10 * 4, 6 * 2]
    assert manager.take_migrations() == [Migration(STATE, KV, 3 * 1024)]
