"""A cohort of blocks says where its members stand; what damages it is noticed."""
# ruff: noqa: SLF001 - damage is done to private parts

from collections.abc import Callable
from typing import Any

import pytest

from allocator.backing import HostBacking
from allocator.managers.static import StaticManager, StaticOptions
from allocator.spec import CacheGroup, CacheKind, CacheSpec

SPEC = CacheSpec(
    (CacheGroup("kv", CacheKind.ATTENTION, 1, 16), CacheGroup("ssm", CacheKind.STATE, 1, 64)), 4
)
DAMAGE: dict[str, Callable[[Any], object]] = {
    "twice": lambda cohort: (cohort._due[2].ranks.append(9), cohort._due[2].seats.append(9)),
    "turn is not": lambda cohort: cohort._due.update({0: cohort._due.pop(3)}),
    "gone": lambda cohort: cohort._held.pop(1),
    "order": lambda cohort: (cohort._due[2].ranks.reverse(), cohort._due[2].seats.reverse()),
}


def new_cohort() -> Any:  # noqa: ANN401 - its parts are private
    """Three sequences of 6, 5 and 2 tokens in blocks of 4: two need a block in round 2."""
    manager = StaticManager(SPEC, HostBacking(1 << 14, 1 << 10), StaticOptions())
    cohort = manager.new_cohort()
    for sequence, tokens in enumerate((6, 5, 2)):
        manager.admit(sequence, tokens)
        cohort.join(sequence, rank=sequence)
    return cohort


@pytest.mark.parametrize("said", DAMAGE)
def test_damage_is_noticed(said: str) -> None:
    cohort = new_cohort()
    cohort.check_integrity()
    DAMAGE[said](cohort)
    with pytest.raises(AssertionError, match=said):
        cohort.check_integrity()


def test_rounds_are_sure_as_long_as_free_blocks_last() -> None:
    """8 KiB hold 128 blocks, 5 are taken; each sequence takes a block every 4 rounds."""
    cohort = new_cohort()
    assert cohort.sure_rounds(10) == 10
    assert cohort.sure_rounds(10_000) == 4 * 41 + 2
