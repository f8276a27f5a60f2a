"""The predictive trigger, hysteresis and direction, by figures worked out by hand."""

from __future__ import annotations

import pytest

from allocator.backing import HostBacking
from allocator.interface import OutOfMemoryError
from allocator.managers.avmp import AvmpManager, AvmpOptions, Trigger
from allocator.rebalance.on_failure import OnFailure
from allocator.rebalance.policy import PoolView, Shortage, SpanMove
from allocator.rebalance.predictive import Predictive
from allocator.rebalance.restraints import Direction, Hysteresis
from allocator.spec import CacheGroup, CacheKind, CacheSpec

KV = CacheGroup("kv", CacheKind.ATTENTION, 1, 64)
SSM = CacheGroup("ssm", CacheKind.STATE, 1, 1024)
SPEC = CacheSpec((KV, SSM), page_tokens=4)


def shortage(recipient: int = 0, operation: int = 0, recipient_spans: int = 10) -> Shortage:
    """One page is missing; the donor has 50 empty spans; every span is a granule of 4 pages."""
    return Shortage(
        recipient_number=recipient,
        recipient=PoolView(0, 0, recipient_spans, 4, 1),
        missing_pages=1,
        donor=PoolView(200, 50, 60, 4, 1),
        donor_keeps_pages=0,
        reserve_granules=0,
        relocates=True,
        operation=operation,
    )


def test_predictive_moves_only_what_is_needed_before_it_has_seen_a_sequence() -> None:
    assert Predictive(SPEC, 100).on_shortage(shortage()) == SpanMove(1, 1)


def test_predictive_moves_a_pool_to_its_share_under_the_mix_seen() -> None:
    policy = Predictive(SPEC, 100)
    policy.on_admission(16)  # 16 tokens x 64 bytes of KV beside 1,024 bytes of state: halves
    assert policy.on_shortage(shortage(recipient=0)) == SpanMove(40, 40)
    assert policy.on_shortage(shortage(recipient=1)) == SpanMove(40, 40)
    assert policy.on_shortage(shortage(recipient_spans=49)) == SpanMove(1, 1)


def test_predictive_believes_lengths_at_release_rather_than_at_admission() -> None:
    policy = Predictive(SPEC, 100)
    policy.on_admission(1_000_000)
    policy.on_release(48)  # three quarters KV
    policy.on_admission(1_000_000)
    assert policy.on_shortage(shortage(recipient=1, recipient_spans=5)) == SpanMove(20, 20)


def test_predictive_forgets_old_lengths_a_sixteenth_at_a_time() -> None:
    policy = Predictive(SPEC, 1600)
    for tokens in (16, 272):  # the mean becomes 16 + 256 / 16 = 32 tokens: two thirds KV
        policy.on_release(tokens)
    move = policy.on_shortage(shortage(recipient=1, recipient_spans=500))
    assert move == SpanMove(33, 33)  # int(1600 / 3) - 500


def test_hysteresis_moves_a_batch_back_only_after_so_many_operations() -> None:
    policy = Hysteresis(OnFailure(8), operations=10)
    assert policy.on_shortage(shortage(recipient=0, operation=5)) == SpanMove(8, 8)
    assert policy.on_shortage(shortage(recipient=0, operation=6)) == SpanMove(8, 8)
    assert policy.on_shortage(shortage(recipient=1, operation=15)) == SpanMove(1, 1)
    assert policy.on_shortage(shortage(recipient=0, operation=25)) == SpanMove(8, 8)


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


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("trigger", [Trigger.FAILURE, Trigger.PREDICTIVE])
def test_capacity_moves_in_the_directions_allowed(direction: Direction, trigger: Trigger) -> None:
    options = AvmpOptions(direction=direction, trigger=trigger, batch=1, span=1, hysteresis=3)
    manager = AvmpManager(SPEC, HostBacking(32 * 1024, 1024), options)
    recipients = set()
    for lengths in ([4] * 28, [100] * 4) * 2:
        admitted = []
        for sequence, tokens in enumerate(lengths):
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
