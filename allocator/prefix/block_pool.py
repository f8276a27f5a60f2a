"""Blocks with a count of holders; free ones keep their text until they are taken."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from allocator.integrity import check
from allocator.interface import PoolUsage
from allocator.prefix.block_index import BlockIndex
from allocator.prefix.interface import Evictions

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class BlockPool:
    """Blocks 1 to n in the order in which vLLM gives them out; block 0, the null block, never.

    Free blocks without a text come first, the last one freed before the others; then those with
    a text, longest free first, which lose it when they are taken.

    Attributes:
        num_blocks: Blocks, without the null block.
        index: The texts of blocks, held or free.
        num_kept_states: Free blocks that keep a state.
    """

    def __init__(self, num_blocks: int, is_state: Sequence[bool]) -> None:
        """Start with all blocks free; `is_state` says of each group whether it holds states."""
        self.num_blocks = num_blocks
        self.index = BlockIndex(len(is_state))
        self.num_kept_states = 0
        self._is_state = is_state
        self._first_kv = next((g for g, state in enumerate(is_state) if not state), None)
        self._evicted = [0, 0, 0]  # blocks of the first attention group, states, lone states
        self._holders = [0] * (num_blocks + 1)
        self._blank = list(range(num_blocks, 0, -1))  # a stack
        self._kept: OrderedDict[int, None] = OrderedDict()  # a queue

    @property
    def num_free(self) -> int:
        """Blocks that nobody holds, with a text or without."""
        return len(self._blank) + len(self._kept)

    @property
    def num_live(self) -> int:
        """Blocks that somebody holds."""
        return self.num_blocks - self.num_free

    def usage(self, block_bytes: int) -> PoolUsage:
        """The pool at this moment, with so many bytes a block."""
        counts = self.num_blocks, self.num_live, len(self._kept), self.num_kept_states
        return PoolUsage("blocks", block_bytes, *counts)

    def evictions(self, block_tokens: int) -> Evictions:
        """What was evicted since the start, with so many tokens a block."""
        blocks, states, lone = self._evicted
        return Evictions(blocks * block_tokens, states, lone)

    def num_holders(self, block: int) -> int:
        """Sequences that hold a block."""
        return self._holders[block]

    def take(self, count: int) -> list[int]:
        """Take free blocks, each with one holder and no text.

        Raises:
            ValueError: If fewer are free; nothing is taken.
        """
        if count > self.num_free:
            raise ValueError(f"{count} blocks asked, {self.num_free} are free")
        taken = [self._blank.pop() for _ in range(min(count, len(self._blank)))]
        while len(taken) < count:
            taken.append(self._evict())
        for block in taken:
            self._holders[block] = 1
        return taken

    def hold(self, block: int) -> bool:
        """Add a holder to a block with a text; True if it had none before."""
        self._holders[block] += 1
        if self._holders[block] > 1:
            return False
        del self._kept[block]
        self.num_kept_states -= self._keeps_state(block)
        return True

    def give(self, blocks: Iterable[int]) -> list[int]:
        """Take a holder off each block, in order; returns those that nobody holds any more."""
        freed = []
        for block in blocks:
            self._holders[block] -= 1
            if self._holders[block]:
                continue
            freed.append(block)
            if block in self.index:
                self._kept[block] = None
                self.num_kept_states += self._keeps_state(block)
            else:
                self._blank.append(block)
        return freed

    def check_integrity(self) -> None:
        """Raise AssertionError if a block is lost or doubled, or free in the wrong place."""
        self.index.check_integrity()
        free = [*self._blank, *self._kept]
        check(len(set(free)) == len(free), "block pool: a block is free twice")
        nobodys = [block for block, holders in enumerate(self._holders) if block and not holders]
        check(sorted(free) == nobodys, "block pool: a free block is held, or one is lost")
        check(min(self._holders) >= 0, "block pool: a block has been given back too often")
        check(self._holders[0] == 0, "block pool: somebody holds the null block")
        check(all(b in self.index for b in self._kept), "block pool: a blank block is kept")
        check(all(b not in self.index for b in self._blank), "block pool: a text counts as blank")
        states = sum(map(self._keeps_state, self._kept))
        check(states == self.num_kept_states, "block pool: kept states are miscounted")

    def _keeps_state(self, block: int) -> bool:
        return self._is_state[self.index.key(block)[0]]

    def _evict(self) -> int:
        """Let the block longest free lose its text; returns it."""
        block, _ = self._kept.popitem(last=False)
        group, key = self.index.key(block)
        self.index.forget(block)
        if self._is_state[group]:
            self.num_kept_states -= 1
            self._evicted[1] += 1
            first = self._first_kv
            self._evicted[2] += first is not None and self.index.first(first, key) is not None
        elif group == self._first_kv:
            self._evicted[0] += 1
        return block
