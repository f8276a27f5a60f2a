"""One buffer of 16 KiB: KV pages of 256 bytes from its start, states of 1,024 from its end."""

from __future__ import annotations

import pytest

from allocator.backing import HostBacking
from allocator.interface import OutOfMemoryError
from allocator.managers.two_ended import Compaction, TwoEndedManager, TwoEndedOptions
from allocator.spec import CacheGroup, CacheKind, CacheSpec

SPEC = CacheSpec(
    (CacheGroup("kv", CacheKind.ATTENTION, 1, 64), CacheGroup("ssm", CacheKind.STATE, 1, 1024)),
    page_tokens=4,
)


def manager_with(compaction: Compaction = Compaction.LAZY) -> TwoEndedManager:
    return TwoEndedManager(SPEC, HostBacking(16 * 1024, 1024), TwoEndedOptions(compaction))


def test_either_kind_may_take_all_that_the_other_leaves() -> None:
    manager = manager_with()
    assert manager.max_sequence_tokens == (16 - 1) * 16  # a KiB of state, 16 tokens a KiB of KV
    manager.admit(0, manager.max_sequence_tokens)
    assert manager.usage().reserve_bytes == 0
    manager.release(0)
    for sequence in range(12):
        manager.admit(sequence, 4)
    assert [pool.num_live for pool in manager.usage().pools] == [12, 12]
    with pytest.raises(OutOfMemoryError) as caught:
        manager.admit(12, 16)
    error = caught.value  # a KiB is left, where KV asks for one and state for one
    assert (error.pool, error.asked, error.free, error.largest) == ("kv", 4, 0, 0)


def test_lazy_compaction_waits_until_the_gap_is_too_small() -> None:
    manager = manager_with()
    for sequence in range(10):
        manager.admit(sequence, 8)  # 512 bytes of KV and 1,024 of state each: 1 KiB is left
    manager.release(0)
    assert manager.backing.counters().copies == 0
    assert [pool.num_pages for pool in manager.usage().pools] == [20, 10]
    handles = manager.block_table(9, "ssm")
    manager.admit(10, 8)  # fits the holes
    manager.release(1)
    manager.admit(11, 24)  # six pages of KV, two in holes: the gap has just the rest
    assert manager.backing.counters().copies == 0
    assert manager.usage().reserve_bytes == 0
    assert manager.block_table(9, "ssm") == handles
    manager.check_integrity()


def test_compaction_moves_the_edge_into_the_lowest_hole_and_names_stay() -> None:
    manager = manager_with()
    for sequence in range(10):
        manager.admit(sequence, 8)
    handles = [manager.block_table(sequence, "ssm") for sequence in range(10)]
    for sequence in (0, 1, 2):
        manager.release(sequence)
    manager.extend(3, 48)  # 12 pages: 6 holes and 4 of the gap, so two more need a state's room
    counters = manager.backing.counters()
    assert (counters.copies, counters.copied_bytes) == (1, 1024)
    assert [manager.block_table(s, "ssm") for s in range(3, 10)] == handles[3:]
    assert [pool.num_pages for pool in manager.usage().pools] == [26, 9]
    manager.check_integrity()


def test_eager_compaction_leaves_no_hole() -> None:
    manager = manager_with(Compaction.EAGER)
    for sequence in range(10):
        manager.admit(sequence, 8)
    manager.release(0)
    assert [pool.num_pages for pool in manager.usage().pools] == [18, 9]
    counters = manager.backing.counters()
    assert (counters.copies, counters.copied_bytes) == (2, 2 * 256 + 1024)
    manager.check_integrity()


def test_a_page_at_the_edge_goes_without_a_copy() -> None:
    manager = manager_with(Compaction.EAGER)
    manager.admit(0, 8)
    manager.admit(1, 8)
    manager.release(1)
    assert manager.backing.counters().copies == 0
    assert [pool.num_pages for pool in manager.usage().pools] == [2, 1]
