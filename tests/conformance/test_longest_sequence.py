"""How long a sequence can be: `max_sequence_tokens` of every manager."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from allocator.interface import UNBOUNDED_TOKENS, CacheManager, OutOfMemoryError
from allocator.rebalance.restraints import Direction

if TYPE_CHECKING:
    from tests.conformance.conftest import Churn
    from tests.conftest import Design, MemoryCase


def test_the_longest_sequence_fits_alone_and_one_token_more_does_not(
    manager: CacheManager,
) -> None:
    longest = manager.max_sequence_tokens
    assert longest > 0
    manager.admit(0, min(longest, 10_000))
    manager.release(0)
    if longest < UNBOUNDED_TOKENS:
        with pytest.raises(OutOfMemoryError):
            manager.admit(0, longest + 1)


def test_the_longest_sequence_can_grow_from_one_token(manager: CacheManager) -> None:
    longest = manager.max_sequence_tokens
    manager.admit(0, 1)
    if longest == UNBOUNDED_TOKENS:
        manager.extend(0, longest - 1)
        return
    for _ in range(longest - 1):
        manager.extend(0, 1)
    with pytest.raises(OutOfMemoryError):
        manager.extend(0, 1)
    manager.check_integrity()


def test_the_longest_sequence_does_not_depend_on_what_is_held(
    design: Design, manager: CacheManager, churn: Churn
) -> None:
    """Where capacity moves one way only, for good, the longest sequence may shrink."""
    one_way = getattr(design.options, "direction", Direction.BOTH) is not Direction.BOTH
    longest = manager.max_sequence_tokens
    for _ in range(5):
        churn.run(20)
        now = manager.max_sequence_tokens
        assert now == longest or (one_way and now < longest)


def test_only_tokens_use_memory_beyond_the_first(
    manager: CacheManager, memory_case: MemoryCase
) -> None:
    unbounded = manager.max_sequence_tokens == UNBOUNDED_TOKENS
    assert unbounded == (memory_case.needed_bytes([1]) == memory_case.needed_bytes([2]))
