"""`sglang:radix=on`, rule by rule: what is found, shared, copied, left and evicted."""

from __future__ import annotations

from typing import Any

import pytest

from allocator.backing import HostBacking
from allocator.interface import OutOfMemoryError, Terms
from allocator.managers.sglang import Radix, SglangManager, SglangOptions, Strategy
from allocator.prefix.content import Content
from allocator.prefix.radix_cache import RadixCache
from allocator.spec import CacheGroup, CacheKind, CacheSpec

KV = CacheGroup("kv", CacheKind.ATTENTION, 1, 16)
SSM = CacheGroup("ssm", CacheKind.STATE, 1, 64)
ATTENTION, HYBRID = CacheSpec((KV,)), CacheSpec((KV, SSM))
A, B, C = 1, 2, 3


def cache(spec: CacheSpec, tokens: int, slots: int = 0, **options: Any) -> RadixCache:  # noqa: ANN401 - options of any type
    """Room for so many tokens and slots, in granules of 128 bytes."""
    budget = tokens * 16 + -(-(slots + 1) * 64 // 128) * 128 * bool(slots)
    ratio = (slots + 1.5) * 64 / (budget - (slots + 1.5) * 64) if slots else 0.9
    backing = HostBacking(budget, 128)
    chosen = SglangOptions(radix=Radix.ON, ratio=ratio, **options)
    manager = SglangManager.build(spec, backing, chosen)
    assert isinstance(manager, RadixCache)
    sizes = [pool.num_pages for pool in manager.usage().pools]
    assert sizes == ([tokens, slots] if slots else [tokens])
    return manager


def enter(manager: RadixCache, number: int, *pieces: tuple[int, int]) -> int:
    """Admit a text with all its tokens; returns how many were found."""
    content, tokens = Content(pieces), sum(count for _, count in pieces)
    prefix = manager.find_prefix(content, tokens - 1)
    manager.admit(number, tokens, Terms(prefix=prefix))
    manager.check_integrity()
    return prefix.tokens


def leave(manager: RadixCache, number: int, *pieces: tuple[int, int]) -> None:
    """Compute a text and end."""
    enter(manager, number, *pieces)
    manager.retire(number)
    manager.check_integrity()


def found(manager: RadixCache, *pieces: tuple[int, int]) -> tuple[int, int]:
    """Tokens found of a text, and tokens after them without a state."""
    prefix = manager.find_prefix(Content(pieces), sum(count for _, count in pieces))
    return prefix.tokens, prefix.stateless_tokens


def live(manager: RadixCache) -> list[int]:
    return [pool.num_live for pool in manager.usage().pools]


def cached(manager: RadixCache) -> list[int]:
    return [pool.num_cached for pool in manager.usage().pools]


def test_attention_alone_is_found_token_by_token() -> None:
    manager = cache(ATTENTION, 64)
    leave(manager, 0, (A, 10), (B, 5))
    assert found(manager, (A, 10), (B, 3), (C, 9)) == (13, 0)
    assert found(manager, (B, 5)) == (0, 0)


def test_with_states_a_match_ends_where_one_was_left() -> None:
    manager = cache(HYBRID, 64, 8)
    leave(manager, 0, (A, 10), (B, 5))
    assert found(manager, (A, 10), (B, 5), (C, 9)) == (15, 0)
    assert found(manager, (A, 10), (C, 9)) == (0, 10)


def test_each_chunk_leaves_a_copy_of_the_state_and_the_end_the_state_itself() -> None:
    manager = cache(HYBRID, 64, 8)
    enter(manager, 0, (A, 12))
    for tokens in (4, 8):
        manager.keep(0, tokens)
        manager.check_integrity()
    assert manager.backing.counters().copies == 2
    manager.retire(0)
    assert manager.backing.counters().copies == 2
    assert cached(manager) == [12, 3]
    assert [found(manager, (A, n))[0] for n in (3, 4, 7, 8, 11, 12)] == [0, 4, 4, 8, 8, 12]


def test_what_is_found_is_shared_and_its_state_copied() -> None:
    manager = cache(HYBRID, 64, 8)
    leave(manager, 0, (A, 10))
    assert cached(manager) == [10, 1]
    assert enter(manager, 1, (A, 10), (B, 2)) == enter(manager, 2, (A, 10), (C, 2)) == 10
    assert live(manager) == [14, 3]
    assert cached(manager) == [0, 0]
    assert manager.usage().needed_bytes == 14 * 16 + 2 * 64
    assert manager.backing.counters().copied_bytes == 2 * 64
    tables = [manager.block_table(number, "kv") for number in (1, 2)]
    assert tables[0][:10] == tables[1][:10]
    assert manager.block_table(1, "ssm") != manager.block_table(2, "ssm")


def test_who_computed_the_same_beside_another_gives_its_pages_back() -> None:
    manager = cache(HYBRID, 64, 8)
    for number in (0, 1):
        enter(manager, number, (A, 10), (B + number, 4))
    assert live(manager) == [28, 2]
    manager.keep(0, 10)
    manager.keep(1, 10)
    manager.check_integrity()
    assert live(manager) == [18, 3]
    assert manager.block_table(0, "kv")[:10] == manager.block_table(1, "kv")[:10]


def test_a_preempted_sequence_leaves_what_its_chunks_left() -> None:
    manager = cache(HYBRID, 64, 8)
    enter(manager, 0, (A, 20))
    manager.keep(0, 8)
    manager.release(0)
    manager.check_integrity()
    assert found(manager, (A, 20)) == (8, 0)
    assert cached(manager) == [8, 1]


def test_a_parting_of_ways_has_no_state() -> None:
    manager = cache(HYBRID, 64, 8)
    leave(manager, 0, (A, 10), (B, 5))
    leave(manager, 1, (A, 10), (C, 5))
    assert cached(manager) == [20, 2]
    assert found(manager, (A, 10), (9, 1)) == (0, 10)


def test_kv_goes_leaf_by_leaf_longest_unused_first() -> None:
    manager = cache(ATTENTION, 24)
    leave(manager, 0, (A, 8), (B, 4))
    leave(manager, 1, (A, 8), (C, 4))
    assert enter(manager, 2, (A, 8), (B, 4), (5, 1)) == 12
    manager.release(2)  # B is the younger now
    enter(manager, 3, (7, 10))
    assert found(manager, (A, 8), (C, 4)) == (8, 0)
    assert found(manager, (A, 8), (B, 4)) == (12, 0)
    manager.extend(3, 8)
    assert found(manager, (A, 8), (B, 4)) == (0, 0)  # the stem went too, once it was a leaf
    assert manager.evictions().tokens == 16
    manager.check_integrity()


def test_an_inner_node_that_loses_its_state_keeps_its_kv_and_a_leaf_goes() -> None:
    manager = cache(HYBRID, 64, 4)
    enter(manager, 0, (A, 12))
    manager.keep(0, 4)
    manager.retire(0)
    assert cached(manager) == [12, 2]
    for number in range(1, 4):
        enter(manager, number, (10 + number, 1))
    assert found(manager, (A, 12)) == (12, 0)
    assert found(manager, (A, 4), (B, 2)) == (0, 4)
    assert manager.evictions().lone_states == manager.evictions().states == 1
    enter(manager, 4, (20, 1))
    assert found(manager, (A, 12)) == (0, 4)  # a leaf without a state stays
    assert cached(manager) == [4, 0]
    assert manager.evictions().tokens == 8


def test_of_states_the_one_unused_for_longest_goes() -> None:
    manager = cache(HYBRID, 64, 4)
    leave(manager, 0, (A, 4))
    leave(manager, 1, (B, 4))
    assert enter(manager, 2, (A, 4), (C, 1)) == 4
    manager.release(2)
    for number in range(3, 6):
        enter(manager, number, (10 + number, 1))
    assert [found(manager, (text, 4)) for text in (A, B)] == [(4, 0), (0, 0)]


def test_the_state_that_was_found_needs_a_slot_beside_the_copy() -> None:
    manager = cache(HYBRID, 64, 3)
    leave(manager, 0, (A, 4))
    for number in (1, 2):
        enter(manager, number, (10 + number, 1))
    prefix = manager.find_prefix(Content([(A, 4), (B, 2)]), 5)
    assert prefix.tokens == 4
    with pytest.raises(OutOfMemoryError) as caught:
        manager.admit(3, 6, Terms(prefix=prefix))
    assert (caught.value.pool, caught.value.asked, caught.value.free) == ("state", 2, 1)
    manager.check_integrity()


def test_what_was_evicted_since_it_was_found_must_be_found_again() -> None:
    manager = cache(ATTENTION, 16)
    leave(manager, 0, (A, 8))
    prefix = manager.find_prefix(Content([(A, 8), (B, 4)]), 11)
    enter(manager, 1, (C, 12))
    with pytest.raises(ValueError, match="find it again"):
        manager.admit(2, 12, Terms(prefix=prefix))


def test_the_last_token_must_be_computed() -> None:
    manager = cache(ATTENTION, 16)
    leave(manager, 0, (A, 8))
    with pytest.raises(ValueError, match="at least one token beyond"):
        manager.admit(1, 8, Terms(prefix=manager.find_prefix(Content([(A, 8)]), 8)))


def test_a_chunk_that_finds_no_slot_leaves_nothing() -> None:
    manager = cache(HYBRID, 64, 3)
    for number in range(3):
        enter(manager, number, (number, 4))
    manager.keep(0, 4)
    manager.check_integrity()
    assert found(manager, (0, 4)) == (0, 0)


def test_with_fewer_slots_than_a_request_is_reckoned_with_nothing_is_kept() -> None:
    manager = cache(HYBRID, 64, 2)
    leave(manager, 0, (A, 4))
    assert found(manager, (A, 4)) == (0, 0)
    assert manager.max_sequences == 1


def test_sequences_at_once_are_slots_by_what_each_is_reckoned_with() -> None:
    assert cache(HYBRID, 64, 8).max_sequences == 2
    assert cache(HYBRID, 64, 8, strategy=Strategy.EXTRA_BUFFER).max_sequences == 1
    assert cache(HYBRID, 64, 8, strategy=Strategy.EXTRA_BUFFER, states=4).max_sequences == 2
    assert cache(ATTENTION, 64).max_sequences > 10**9


EXTRA: dict[str, Any] = {"strategy": Strategy.EXTRA_BUFFER, "grid": 4, "track_interval": 8}


def test_extra_buffer_leaves_a_chunks_last_state_on_the_grid_without_a_copy() -> None:
    manager = cache(HYBRID, 64, 10, **EXTRA)
    enter(manager, 0, (A, 20))
    assert live(manager) == [20, 3]
    manager.keep(0, 3)  # shorter than the grid
    assert found(manager, (A, 20)) == (0, 0)
    manager.keep(0, 14)
    manager.check_integrity()
    assert found(manager, (A, 20)) == (11, 0)
    assert manager.backing.counters().copies == 0


def test_extra_buffer_leaves_a_state_where_texts_part() -> None:
    manager = cache(HYBRID, 96, 15, **EXTRA)
    enter(manager, 0, (A, 10), (B, 10))
    manager.keep(0, 20)
    assert enter(manager, 1, (A, 10), (C, 10)) == 0
    manager.keep(1, 20)
    manager.check_integrity()
    assert found(manager, (A, 10), (9, 5)) == (8, 2)


def test_extra_buffer_keeps_an_output_up_to_the_last_interval() -> None:
    manager = cache(HYBRID, 96, 15, **EXTRA)
    for number, tokens in enumerate((15, 23)):
        enter(manager, number, (number, 9), (-1 - number, 50))
        manager.keep(number, 9)
        manager.release(number)
        enter(manager, number, (number, 9), (-1 - number, tokens - 9))
        manager.keep(number, 9)
        manager.retire(number)
        manager.check_integrity()
    assert found(manager, (0, 9), (-1, 40)) == (8, 0)
    assert found(manager, (1, 9), (-2, 40)) == (16, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"states": 5}, "strategy=no_buffer needs states=3"),
        ({"states": 3, "strategy": Strategy.EXTRA_BUFFER}, "needs states=4 or 5"),
        ({"page_size": 2}, "needs page_size=1"),
        ({"grid": 0}, "at least 1 token"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SglangOptions(radix=Radix.ON, **options)
