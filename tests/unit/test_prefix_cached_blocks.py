"""`vllm:caching=on` by hand: what is found, what it costs, and what is given back when."""
# ruff: noqa: SLF001 - damage is done where no caller may write

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from allocator.backing import HostBacking
from allocator.interface import UNBOUNDED_TOKENS, OutOfMemoryError, Terms
from allocator.managers.vllm import Caching, Mode, VllmManager, VllmOptions
from allocator.prefix.cached_blocks import CachedBlocks
from allocator.prefix.content import Content
from allocator.spec import CacheGroup, CacheKind, CacheSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from allocator.prefix.interface import Prefix

BLOCK = 4
KV = CacheGroup("kv", CacheKind.ATTENTION, 1, 32)
SSM = CacheGroup("ssm", CacheKind.STATE, 2, 128)  # two tables of one layer each
ONE_STATE = CacheGroup("ssm", CacheKind.STATE, 1, 128)
OPTIONS = VllmOptions(caching=Caching.ON)


def build(num_blocks: int, *groups: CacheGroup) -> CachedBlocks:
    """A manager with so many blocks of 128 bytes beside the null block."""
    backing = HostBacking((num_blocks + 1) * 128, 128)
    manager = VllmManager.build(CacheSpec(groups, BLOCK), backing, OPTIONS)
    assert isinstance(manager, CachedBlocks)
    return manager


@pytest.fixture
def attention() -> CachedBlocks:
    return build(20, KV)


@pytest.fixture
def hybrid() -> CachedBlocks:
    return build(20, KV, SSM)


def text(*pieces: tuple[int, int], own: int = -1) -> Content:
    return Content([*pieces, (own, 100)])


def enter(manager: CachedBlocks, sequence: int, content: Content, tokens: int) -> Prefix:
    """Admit with whatever is found of the first tokens but one."""
    prefix = manager.find_prefix(content, tokens - 1)
    manager.admit(sequence, tokens, Terms(prefix=prefix))
    return prefix


def live(manager: CachedBlocks) -> int:
    return manager.usage().pools[0].num_live


def test_whole_blocks_of_an_equal_start_are_shared(attention: CachedBlocks) -> None:
    assert enter(attention, 0, text((7, 10)), 12).tokens == 0
    prefix = enter(attention, 1, text((7, 10), own=-2), 12)
    assert prefix.tokens == 8
    tables = [attention.block_table(sequence, "kv") for sequence in (0, 1)]
    assert tables[0][:2] == tables[1][:2]
    assert tables[0][2] != tables[1][2]
    assert live(attention) == 4
    assert attention.usage().needed_bytes == (12 + 4) * 32
    attention.check_integrity()


def test_a_text_that_is_there_to_its_end_computes_its_last_block(attention: CachedBlocks) -> None:
    enter(attention, 0, text((7, 8)), 8)
    attention.release(0)
    assert attention.find_prefix(text((7, 8)), 7).tokens == 4


def test_free_blocks_that_are_found_must_be_free_beside_the_new_ones() -> None:
    manager = build(5, KV)
    manager.admit(9, 1)
    enter(manager, 0, text((7, 8)), 8)
    manager.release(0)
    content = text((7, 8), own=-2)
    prefix = manager.find_prefix(content, 16)
    assert prefix.tokens == 8
    with pytest.raises(OutOfMemoryError, match="5 asked, 4 free"):
        manager.admit(1, 17, Terms(prefix=prefix))
    manager.admit(1, 16, Terms(prefix=prefix))
    assert live(manager) == 5


def test_texts_are_found_until_their_blocks_are_taken(attention: CachedBlocks) -> None:
    enter(attention, 0, text((7, 8)), 9)
    attention.release(0)
    attention.admit(1, 18 * BLOCK)  # 18 blank blocks, for all they know
    assert attention.find_prefix(text((7, 8)), 8).tokens == 8
    attention.extend(1, BLOCK)  # the tail of the text goes first
    assert attention.find_prefix(text((7, 8)), 8).tokens == 4


def test_a_prefix_found_before_an_eviction_is_refused(attention: CachedBlocks) -> None:
    enter(attention, 0, text((7, 8)), 9)
    attention.release(0)
    prefix = attention.find_prefix(text((7, 8)), 8)
    attention.admit(1, 19 * BLOCK)
    with pytest.raises(ValueError, match="find it again"):
        attention.admit(2, 9, Terms(prefix=prefix))


def test_at_least_one_token_is_computed(attention: CachedBlocks) -> None:
    enter(attention, 0, text((7, 8)), 9)
    prefix = attention.find_prefix(text((7, 8)), 8)
    with pytest.raises(ValueError, match="at least one token beyond"):
        attention.admit(1, 8, Terms(prefix=prefix))


def test_a_margin_is_a_share_of_all_blocks_the_null_block_too() -> None:
    """int(0.2 x 10) = 2, where nine blocks alone would make 1."""
    manager = build(9, KV)
    manager.admit(0, 7 * BLOCK, Terms(margin=0.2))
    assert live(manager) == 7
    with pytest.raises(OutOfMemoryError, match="3 asked, 2 free"):
        manager.admit(1, 1, Terms(margin=0.2))
    plain = VllmManager(CacheSpec((KV,), BLOCK), HostBacking(10 * 128, 128), VllmOptions())
    plain.admit(0, 7 * BLOCK, Terms(margin=0.2))
    with pytest.raises(OutOfMemoryError, match="3 asked, 2 free"):
        plain.admit(1, 1, Terms(margin=0.2))


def test_a_state_is_found_where_a_chunk_ended_on_a_boundary(hybrid: CachedBlocks) -> None:
    enter(hybrid, 0, text((7, 20)), 8)  # leaves a state at 8
    hybrid.extend(0, 9)  # and none at 12 or 16, for the chunk runs past them
    hybrid.begin_step()
    prefix = hybrid.find_prefix(text((7, 20), own=-2), 20)
    assert (prefix.tokens, prefix.stateless_tokens) == (8, 8)
    assert [len(blocks) for blocks in prefix.blocks] == [2, 1, 1]


def test_a_state_cannot_be_used_in_the_step_that_computes_it(hybrid: CachedBlocks) -> None:
    enter(hybrid, 0, text((7, 8)), 8)
    prefix = hybrid.find_prefix(text((7, 8), own=-2), 8)
    assert prefix.is_pending
    with pytest.raises(ValueError, match="wait for the next"):
        hybrid.admit(1, 9, Terms(prefix=prefix))
    hybrid.begin_step()
    assert enter(hybrid, 1, text((7, 8), own=-2), 9).tokens == 8
    hybrid.check_integrity()


def test_the_older_state_goes_with_the_step_after_the_boundary(hybrid: CachedBlocks) -> None:
    hybrid.admit(0, 4)
    assert live(hybrid) == 1 + 2
    hybrid.extend(0, 1)
    assert live(hybrid) == 2 + 4
    hybrid.extend(0, 1)
    assert live(hybrid) == 2 + 2
    hybrid.extend(0, 3)
    assert live(hybrid) == 3 + 4
    hybrid.trim(0)
    assert live(hybrid) == 3 + 2
    hybrid.trim(0)
    assert live(hybrid) == 3 + 2
    hybrid.check_integrity()


def test_what_is_stale_makes_room_for_the_extension() -> None:
    manager = build(8, KV, SSM)
    manager.admit(0, 4)
    manager.extend(0, 1)  # 2 + 4 of 8
    manager.extend(0, 4)  # 2 stale; needs 1 + 2
    assert live(manager) == 3 + 4
    with pytest.raises(OutOfMemoryError, match="4 asked, 1 free, 3 at most"):
        manager.extend(0, 8)  # two blocks of tokens, and the state at their end


def test_a_shared_state_is_not_given_back_for_others(hybrid: CachedBlocks) -> None:
    enter(hybrid, 0, text((7, 8)), 8)
    hybrid.begin_step()
    enter(hybrid, 1, text((7, 8), own=-2), 9)
    assert live(hybrid) == 2 + 2 + 1 + 2
    hybrid.trim(1)  # the state at 8 is stale for it, and the present one of the other
    assert live(hybrid) == 2 + 2 + 1 + 2
    hybrid.check_integrity()
    hybrid.release(0)
    assert live(hybrid) == 2 + 1 + 2


@pytest.mark.parametrize(
    ("num_blocks", "groups", "tokens"),
    [
        (20, (KV,), 80),
        (20, (KV, SSM), 64),  # 16 blocks and two states in each of two tables
        (5, (KV, SSM), 4),  # a second block would need a second state of each
        (3, (KV, SSM), 4),
        (2, (KV, SSM), 0),
        (2, (ONE_STATE,), UNBOUNDED_TOKENS),
        (1, (ONE_STATE,), 4),
        (0, (ONE_STATE,), 0),
    ],
)
def test_the_longest_sequence(num_blocks: int, groups: tuple[CacheGroup, ...], tokens: int) -> None:
    assert build(num_blocks, *groups).max_sequence_tokens == tokens


def test_more_than_the_longest_sequence_is_refused_though_blocks_are_free() -> None:
    manager = build(5, KV, SSM)
    with pytest.raises(OutOfMemoryError, match="6 asked, 5 free"):
        manager.admit(0, 5)


def test_layers_are_dealt_to_tables_in_turn() -> None:
    """Five layers in two tables of three: three in one, two in the other."""
    spec = CacheSpec(
        (CacheGroup("kv", CacheKind.ATTENTION, 5, 32), CacheGroup("ssm", CacheKind.STATE, 3, 128)),
        BLOCK,
    )
    manager = VllmManager.build(spec, HostBacking(1 << 14, 128), OPTIONS)
    assert isinstance(manager, CachedBlocks)
    assert manager._layout.token_bytes == (96, 64, 0)
    manager.admit(0, 5)
    assert len(manager.block_table(0, "kv")) == 4
    assert len(manager.block_table(0, "ssm")) == 1
    with pytest.raises(KeyError):
        manager.block_table(0, "other")


@pytest.mark.parametrize("options", [{"mode": Mode.ALL}, {"speculative_tokens": 1}])
def test_what_is_not_simulated_with_caching_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="caching=on is simulated in mode align only"):
        VllmOptions(caching=Caching.ON, **options)


def test_the_manager_with_caching_is_built_not_constructed() -> None:
    with pytest.raises(ValueError, match=r"VllmManager\.build"):
        VllmManager(CacheSpec((KV,), BLOCK), HostBacking(1280, 128), OPTIONS)


def _sequence(manager: Any) -> Any:  # noqa: ANN401 - private structures have no public type
    return manager._held[0]


DAMAGE: dict[str, Callable[[Any], object]] = {
    "a sequence is lost": lambda m: m._held.pop(0),
    "tokens are miscounted": lambda m: setattr(m, "_live_tokens", 1),
    "a sequence has no token": lambda m: setattr(_sequence(m), "tokens", 0),
    "a sequence has a block too few": lambda m: _sequence(m)._tables[0].pop(),
    "a sequence has a block twice": lambda m: (
        _sequence(m)._tables[0].append(_sequence(m)._tables[0][0])
    ),
    "a sequence lacks its state": lambda m: _sequence(m)._states.clear(),
    "a state lacks a table's block": lambda m: _sequence(m)._states[1].pop(),
    "a state stands elsewhere": lambda m: _sequence(m)._states.__setitem__(
        2, _sequence(m)._states.pop(1)
    ),
    "a state table is too long": lambda m: setattr(_sequence(m), "_num_state_rows", 3),
    "a block is registered before it is full": lambda m: setattr(_sequence(m), "num_registered", 3),
    "a sequence is calm for too long": lambda m: setattr(_sequence(m), "calm_tokens", 99),
    "a calm sequence has a stale block": lambda m: setattr(m._held[1], "calm_tokens", 11),
    "shared blocks are miscounted": lambda m: m._num_doubled.__setitem__(0, 1),
    "a name is lost": lambda m: m._table.retire(0, [(_sequence(m)._tables[0][0], 1)]),
    "a free block has a name": lambda m: m._table.issue(0, [(19, 1)]),
    "the peak is forgotten": lambda m: setattr(m, "_peak_live", 0),
    "a holder is forgotten": lambda m: m._pool._holders.__setitem__(_sequence(m)._tables[0][0], 1),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_manager_is_noticed(
    damage: Callable[[Any], object], hybrid: CachedBlocks
) -> None:
    enter(hybrid, 0, text((7, 8)), 8)
    hybrid.begin_step()
    enter(hybrid, 1, text((7, 8), own=-2), 11)
    hybrid.check_integrity()
    damage(hybrid)
    with pytest.raises(AssertionError):
        hybrid.check_integrity()
