"""The order in which blocks are given out, kept and forgotten; and damage to the books."""
# ruff: noqa: SLF001 - damage is done where no caller may write

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from allocator.prefix.block_index import BlockIndex
from allocator.prefix.block_pool import BlockPool

if TYPE_CHECKING:
    from collections.abc import Callable

A, B, C = b"a", b"b", b"c"


@pytest.fixture
def pool() -> BlockPool:
    """Six blocks: 1 to 3 held, with texts; 4 given back; 5 and 6 never taken."""
    pool = BlockPool(6, is_state=(False, True))
    blocks = pool.take(4)
    assert blocks == [1, 2, 3, 4]
    for block, key in zip(blocks, (A, B, C), strict=False):
        pool.index.register(0, key, block)
    pool.give([4])
    return pool


def test_blank_blocks_go_first_the_last_one_freed_before_others(pool: BlockPool) -> None:
    assert pool.take(3) == [4, 5, 6]
    assert (pool.num_free, pool.num_live) == (0, 6)


def test_blocks_with_texts_go_last_longest_free_first(pool: BlockPool) -> None:
    pool.give([3, 1])
    pool.give([2])
    assert pool.take(5) == [4, 5, 6, 3, 1]
    assert [pool.index.first(0, key) for key in (A, B, C)] == [None, 2, None]
    assert pool.index.num_forgotten == 2


def test_more_than_is_free_is_refused(pool: BlockPool) -> None:
    with pytest.raises(ValueError, match="4 blocks asked, 3 are free"):
        pool.take(4)
    assert pool.num_free == 3


def test_a_block_goes_when_its_last_holder_does(pool: BlockPool) -> None:
    assert not pool.hold(1)
    assert pool.num_holders(1) == 2
    assert pool.give([1]) == []
    assert pool.give([1, 2]) == [1, 2]
    assert pool.hold(1)  # it was free, and kept its text
    assert pool.num_free == 4
    pool.check_integrity()


def test_the_first_block_of_a_text_is_found_until_it_is_forgotten() -> None:
    index = BlockIndex(2)
    for block in (5, 3, 4):
        index.register(1, A, block)
    assert index.first(0, A) is None
    assert index.first(1, A) == 5
    index.forget(5)
    assert index.first(1, A) == 3
    assert 5 not in index
    assert index.key(4) == (1, A)
    index.check_integrity()


POOL_DAMAGE: dict[str, Callable[[Any], object]] = {
    "a free block is lost": lambda pool: pool._blank.pop(),
    "a kept block is lost": lambda pool: pool._kept.popitem(),
    "a free block is doubled": lambda pool: pool._blank.append(5),
    "a live block is free": lambda pool: pool._blank.append(1),
    "a kept block counts as blank": lambda pool: pool._blank.append(pool._kept.popitem()[0]),
    "a blank block is kept": lambda pool: pool._kept.__setitem__(pool._blank.pop(), None),
    "a held block has no holder": lambda pool: pool._holders.__setitem__(1, 0),
    "a free block has a holder": lambda pool: pool._holders.__setitem__(5, 1),
    "a block was given back too often": lambda pool: pool._holders.__setitem__(5, -1),
    "the null block is held": lambda pool: pool._holders.__setitem__(0, 1),
    "a text is lost": lambda pool: pool.index._key_of.pop(1),
    "a text has another block": lambda pool: pool.index._blocks[0].__setitem__(A, {2: None}),
    "a block has two texts": lambda pool: pool.index._blocks[1].__setitem__(B, {1: None}),
    "a text has no block": lambda pool: pool.index._blocks[0].__setitem__(b"d", {}),
}


@pytest.mark.parametrize("damage", POOL_DAMAGE.values(), ids=POOL_DAMAGE.keys())
def test_a_damaged_pool_is_noticed(damage: Callable[[Any], object], pool: BlockPool) -> None:
    pool.give([3])
    pool.check_integrity()
    damage(pool)
    with pytest.raises(AssertionError, match=r"block (pool|index)"):
        pool.check_integrity()
