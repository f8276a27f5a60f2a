"""Admission on terms, held against every registered manager: room that is looked for, not taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from allocator.interface import NO_TERMS, UNBOUNDED_TOKENS, CacheManager, OutOfMemoryError, Terms
from allocator.managers.contiguous import ContiguousManager
from allocator.prefix.interface import PrefixSharing

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conformance.conftest import Churn

    Digest = Callable[[CacheManager], str]

NEW = 10_000
"""A sequence that churning does not reach."""


def fill(manager: CacheManager, terms: Terms) -> int:
    """Admit short sequences until one does not fit; returns how many did."""
    count = 0
    while True:
        try:
            manager.admit(count, 3, terms)
        except OutOfMemoryError:
            return count
        count += 1


def granted(manager: CacheManager) -> tuple[int, int, list[int]]:
    usage, groups = manager.usage(), manager.spec.groups
    tables = [len(manager.block_table(NEW, group.name)) for group in groups]
    return usage.granted_bytes, usage.needed_bytes, tables


def test_terms_that_cannot_be_met_leave_everything_as_it_was(
    manager: CacheManager, digest: Digest, churn: Churn
) -> None:
    for _ in range(5):
        churn.run(30)
        manager.take_migrations()
        before, too_many = digest(manager), manager.max_sequence_tokens + 1
        if too_many > UNBOUNDED_TOKENS:
            return
        with pytest.raises(OutOfMemoryError) as caught:
            manager.admit(NEW, 1, Terms(room_tokens=too_many))
        assert caught.value.free <= caught.value.largest < caught.value.asked
        assert digest(manager) == before


@pytest.mark.parametrize("margin", [0.2, 0.6])
def test_a_margin_that_is_not_there_leaves_everything_as_it_was(
    manager: CacheManager, digest: Digest, margin: float
) -> None:
    terms, count = Terms(room_tokens=9, margin=margin), 0
    while True:
        before = digest(manager)
        try:
            manager.admit(count, 2, terms)
        except OutOfMemoryError as error:
            assert error.free <= error.largest < error.asked  # noqa: PT017 - a loop's own end
            break
        manager.check_integrity()
        count += 1
    assert digest(manager) == before
    manager.check_integrity()


def test_growth_of_others_asks_for_tokens_and_no_state(
    new_manager: Callable[[], CacheManager], digest: Digest
) -> None:
    """Twice what one sequence could have is too much beside another; half of it is not."""
    manager = new_manager()
    most = manager.max_sequence_tokens
    if most == UNBOUNDED_TOKENS or isinstance(manager, ContiguousManager):
        manager.admit(0, 1, Terms(others_tokens=10**9))
        return
    before = digest(manager)
    with pytest.raises(OutOfMemoryError) as caught:
        manager.admit(0, 1, Terms(others_tokens=2 * most))
    assert caught.value.free <= caught.value.largest < caught.value.asked
    assert digest(manager) == before
    if most > manager.spec.page_tokens:
        manager.admit(0, 1, Terms(others_tokens=most // 2 - manager.spec.page_tokens))
        manager.check_integrity()


def test_bad_arguments_are_refused_before_the_terms(manager: CacheManager, digest: Digest) -> None:
    manager.admit(NEW, 1)
    before, terms = digest(manager), Terms(room_tokens=UNBOUNDED_TOKENS, margin=0.5)
    with pytest.raises(ValueError, match="already admitted"):
        manager.admit(NEW, 1, terms)
    with pytest.raises(ValueError, match="at least one token"):
        manager.admit(NEW + 1, 0, terms)
    assert digest(manager) == before


def test_room_that_is_only_looked_for_is_not_granted(
    new_manager: Callable[[], CacheManager], new_churn: type[Churn]
) -> None:
    """Beside the same history without terms; pools may have moved, grants may not."""
    grants = []
    for terms in (NO_TERMS, Terms(room_tokens=40)):
        manager = new_manager()
        new_churn(manager).run(12)
        try:
            manager.admit(NEW, 5, terms)
        except OutOfMemoryError:
            return  # memory is short for the longer one; the tests above are about that
        manager.check_integrity()
        grants.append(granted(manager))
    assert grants[0] == grants[1]


def test_room_that_was_found_is_there_if_nobody_else_takes_it(
    manager: CacheManager, churn: Churn
) -> None:
    """Growth past a block boundary holds two states for a step, beyond what vLLM looks for."""
    if isinstance(manager, PrefixSharing) and manager.checkpoint_tokens:
        pytest.skip("its states take a second page at each block boundary")
    for tokens in (60, 40, 20, 10):
        churn.run(8)
        try:
            manager.admit(NEW, 1, Terms(room_tokens=tokens))
        except OutOfMemoryError:
            continue
        for _ in range(tokens - 1):
            manager.extend(NEW, 1)
        manager.check_integrity()
        manager.release(NEW)


def test_no_margin_changes_nothing_and_a_margin_admits_no_more(
    new_manager: Callable[[], CacheManager],
) -> None:
    counts = [fill(new_manager(), Terms(margin=margin)) for margin in (0.0, 0.3, 0.9)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == fill(new_manager(), NO_TERMS)


def test_a_margin_stays_free(new_manager: Callable[[], CacheManager]) -> None:
    """In pools that keep their size; what others hold at the time is theirs to say."""
    manager = new_manager()
    sizes = [pool.num_pages for pool in manager.usage().pools]
    fill(manager, Terms(margin=0.5))
    usage = manager.usage()
    if sizes != [pool.num_pages for pool in usage.pools]:
        pytest.skip("its pools change size")
    assert all(pool.num_pages - pool.num_live >= pool.num_pages // 2 for pool in usage.pools)
