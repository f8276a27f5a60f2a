"""The predictive trigger, hysteresis, direction and what moves ahead, by figures by hand."""

from __future__ import annotations

import pytest

from allocator.backing import HostBacking
from allocator.interface import OutOfMemoryError
from allocator.managers.avmp import AvmpManager, AvmpOptions, Switch, Trigger
from allocator.rebalance.ahead import Ahead
from allocator.rebalance.composed import composed_policy
from allocator.rebalance.on_failure import OnFailure
from allocator.rebalance.policy import Shortage
from allocator.rebalance.predictive import Predictive
from allocator.rebalance.restraints import Direction, Hysteresis
from allocator.spec import CacheGroup, CacheKind, CacheSpec

KV = CacheGroup("kv", CacheKind.ATTENTION, 1, 64)
SSM = CacheGroup("ssm", CacheKind.STATE, 1, 1024)
SPEC = CacheSpec((KV, SSM), page_tokens=4)


def shortage(
    recipient: int = 0, operation: int = 0, recipient_units: int = 10, total_units: int = 100
) -> Shortage:
    """One unit is missing; the donor can spare 60, of which 50 are ready."""
    return Shortage(
        recipient=recipient,
        missing_units=1,
        sparable_units=60,
        ready=lambda most: min(most, 50),
        recipient_units=recipient_units,
        total_units=total_units,
        operation=operation,
    )


def test_predictive_moves_only_what_is_needed_before_it_has_seen_a_sequence() -> None:
    assert Predictive(SPEC).on_shortage(shortage()) == 1


def test_predictive_moves_a_pool_to_its_share_under_the_mix_seen() -> None:
    policy = Predictive(SPEC)
    policy.on_admission(16)  # 16 tokens x 64 bytes of KV beside 1,024 bytes of state: halves
    assert policy.on_shortage(shortage(recipient=0)) == 40
    assert policy.on_shortage(shortage(recipient=1)) == 40
    assert policy.on_shortage(shortage(recipient_units=49)) == 1
    assert policy.on_shortage(shortage(recipient_units=70)) == 1
    assert policy.on_shortage(shortage(recipient_units=10, total_units=300)) == 50  # the ready ones


def test_predictive_believes_lengths_at_release_rather_than_at_admission() -> None:
    policy = Predictive(SPEC)
    policy.on_admission(1_000_000)
    policy.on_release(48)  # three quarters KV
    policy.on_admission(1_000_000)
    assert policy.on_shortage(shortage(recipient=1, recipient_units=5)) == 20


def test_predictive_forgets_old_lengths_a_sixteenth_at_a_time() -> None:
    policy = Predictive(SPEC)
    for tokens in (16, 272):  # the mean becomes 16 + 256 / 16 = 32 tokens: two thirds KV
        policy.on_release(tokens)
    short = shortage(recipient=1, recipient_units=500, total_units=1600)
    assert policy.on_shortage(short) == 33  # int(1600 / 3) - 500


def test_hysteresis_moves_a_batch_back_only_after_so_many_operations() -> None:
    policy = Hysteresis(OnFailure(8), operations=10)
    assert policy.on_shortage(shortage(recipient=0, operation=5)) == 8
    assert policy.on_shortage(shortage(recipient=0, operation=6)) == 8
    assert policy.on_shortage(shortage(recipient=1, operation=15)) == 1
    assert policy.on_shortage(shortage(recipient=0, operation=25)) == 8


def test_hysteresis_does_not_count_a_move_that_did_not_take_place() -> None:
    policy = Hysteresis(OnFailure(8), operations=10)
    assert policy.on_shortage(shortage(recipient=0, operation=5)) == 8
    refused = Shortage(1, 61, 60, lambda most: min(most, 50), 10, 100, operation=6)
    assert policy.on_shortage(refused) == 0
    assert policy.on_shortage(shortage(recipient=0, operation=7)) == 8


@pytest.mark.parametrize("hysteresis", [0, 5])
@pytest.mark.parametrize(("predicts", "kind"), [(False, OnFailure), (True, Predictive)])
def test_a_policy_is_what_moves_behind_what_holds_it_back(
    hysteresis: int, kind: type, *, predicts: bool
) -> None:
    policy = composed_policy(SPEC, 8, hysteresis, predicts=predicts)
    if hysteresis:
        assert isinstance(policy, Hysteresis)
        policy = policy._inner  # noqa: SLF001 - what it hides is what is asked
    assert type(policy) is kind


@pytest.mark.parametrize(
    ("direction", "allowed"),
    [
        (Direction.BOTH, (True, True)),
        (Direction.TO_KV, (True, False)),
        (Direction.TO_STATE, (False, True)),
    ],
)
def test_a_direction_allows_its_recipient(direction: Direction, allowed: tuple[bool, bool]) -> None:
    assert (direction.allows(0), direction.allows(1)) == allowed


def test_ahead_expects_nobody_before_it_has_seen_anybody() -> None:
    assert Ahead().admission_blocks(0) == 0


def test_ahead_expects_the_head_of_the_queue() -> None:
    ahead = Ahead()
    assert ahead.admission_blocks(7) == 7
    ahead.on_admission(80)
    assert ahead.admission_blocks(7) == 7


def test_ahead_expects_a_mean_admission_where_nobody_waits() -> None:
    """An eighth of the latest: 10 = 80 / 8, then 10 + (50 - 10) / 8 = 15."""
    ahead = Ahead()
    ahead.on_admission(80)
    assert ahead.admission_blocks(0) == 10
    ahead.on_admission(50)
    assert [ahead.admission_blocks(blocks) for blocks in (0, 3, 0)] == [15, 3, 15]


def test_ahead_rounds_a_mean_to_whole_blocks() -> None:
    ahead = Ahead()
    ahead.on_admission(3)  # 0.375
    assert ahead.admission_blocks(0) == 0
    ahead.on_admission(3)  # 0.375 x 7/8 + 3/8 = 0.703
    assert ahead.admission_blocks(0) == 1


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("trigger", [Trigger.FAILURE, Trigger.PREDICTIVE])
@pytest.mark.parametrize("ahead", list(Switch))
def test_capacity_moves_in_the_directions_allowed(
    direction: Direction, trigger: Trigger, ahead: Switch
) -> None:
    options = AvmpOptions(
        direction=direction, trigger=trigger, ahead=ahead, batch=1, unit=1, hysteresis=3
    )
    manager = AvmpManager(SPEC, HostBacking(32 * 1024, 1024), options)
    recipients = set()
    for lengths in ([4] * 28, [100] * 4) * 2:
        admitted = []
        for sequence, tokens in enumerate(lengths):
            manager.prepare(tokens)
            if manager.max_sequence_tokens >= tokens and _fits(manager, sequence, tokens):
                admitted.append(sequence)
        recipients |= {move.recipient for move in manager.take_migrations()}
        manager.check_integrity()
        for sequence in admitted:
            manager.release(sequence)
    assert recipients == {pool for pool in (0, 1) if direction.allows(pool)}


def _fits(manager: AvmpManager, sequence: int, tokens: int) -> bool:
    try:
        manager.admit(sequence, tokens)
    except OutOfMemoryError:
        return False
    return True
