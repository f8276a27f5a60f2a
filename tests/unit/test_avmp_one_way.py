"""The longest sequence of `avmp`, and capacity that may move in one direction only.

A granule of 1 KiB is 4 KV pages of 4 tokens, so 16 tokens, or 2 states.
"""

import pytest

from allocator.backing import HostBacking
from allocator.interface import Migration, OutOfMemoryError
from allocator.managers.avmp import AvmpManager, AvmpOptions, Trigger
from allocator.rebalance.restraints import Direction
from allocator.spec import CacheGroup, CacheKind, CacheSpec

SPEC = CacheSpec(
    (CacheGroup("kv", CacheKind.ATTENTION, 1, 64), CacheGroup("ssm", CacheKind.STATE, 1, 512)), 4
)


def avmp(
    granules: int,
    direction: Direction,
    *,
    unit: int = 1,
    state_ratio: float = 0.5,
    trigger: Trigger = Trigger.FAILURE,
) -> AvmpManager:
    options = AvmpOptions(
        batch=1, unit=unit, direction=direction, state_ratio=state_ratio, trigger=trigger
    )
    return AvmpManager(SPEC, HostBacking(granules * 1024, 1024), options)


@pytest.mark.parametrize(
    ("granules", "unit", "ratio", "direction", "tokens"),
    [
        (16, 1, 0.5, Direction.BOTH, 15 * 16),
        (16, 1, 0.5, Direction.TO_KV, 15 * 16),
        (16, 1, 0.5, Direction.TO_STATE, 8 * 16),  # KV keeps what it has
        (17, 4, 0.5, Direction.BOTH, 13 * 16),  # a unit of four granules for the state
        (17, 4, 0.5, Direction.TO_KV, 13 * 16),
        (17, 4, 0.5, Direction.TO_STATE, 9 * 16),
        (16, 1, 0.01, Direction.BOTH, 15 * 16),  # the state pool starts with nothing
        (16, 1, 0.01, Direction.TO_KV, 0),
        (16, 1, 0.01, Direction.TO_STATE, 15 * 16),
        (16, 64, 0.5, Direction.BOTH, 0),  # no unit for a state
    ],
)
def test_the_longest_sequence_by_hand(
    granules: int, unit: int, ratio: float, direction: Direction, tokens: int
) -> None:
    manager = avmp(granules, direction, unit=unit, state_ratio=ratio)
    assert manager.max_sequence_tokens == tokens


def test_without_a_trigger_the_longest_sequence_has_its_own_pool() -> None:
    manager = avmp(17, Direction.BOTH, unit=4, trigger=Trigger.OFF)
    assert manager.max_sequence_tokens == 9 * 16


def test_what_state_has_taken_for_good_is_lost_to_long_sequences() -> None:
    """KV starts with 9 granules; 17 states need a third unit of 4."""
    manager = avmp(17, Direction.TO_STATE, unit=4)
    for sequence in range(17):
        manager.admit(sequence, 1)
    assert manager.take_migrations() == [Migration(0, 1, 4096)]
    assert manager.max_sequence_tokens == 5 * 16
    for sequence in range(17):
        manager.release(sequence)
    with pytest.raises(OutOfMemoryError) as caught:
        manager.admit(0, 5 * 16 + 1)
    assert (caught.value.largest, caught.value.migration_blocked) == (20, False)
    manager.admit(0, 5 * 16)


def test_what_kv_has_taken_stays_there() -> None:
    manager = avmp(16, Direction.TO_KV)
    manager.admit(0, 14 * 16)
    assert manager.take_migrations() == [Migration(1, 0, 6 * 1024)]
    manager.release(0)
    for sequence in range(4):  # the two granules left
        manager.admit(sequence, 1)
    with pytest.raises(OutOfMemoryError, match="pool state: 1 asked, 0 free, 0 at most"):
        manager.admit(4, 1)
    assert manager.max_sequence_tokens == 15 * 16
