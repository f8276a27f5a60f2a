"""The blocks of one sequence, a table a group, as vLLM keeps them with prefix caching."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.integrity import check
from allocator.spec import ceil_div

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from allocator.prefix.block_pool import BlockPool
    from allocator.prefix.content import Content
    from allocator.prefix.interface import Prefix


class SequenceBlocks:
    """Attention groups have a block for every block of tokens, state groups for one or two.

    A state block stands at the row of the block boundary that it describes (vLLM's mode align);
    the other rows of its table are null. All attention tables have equally many rows, and all
    state tables blocks in the same rows. A chunk that ends in a row beyond the last adds one
    state block a group, at its end; the one before is stale once the chunk has been computed.

    Attributes:
        tokens: Tokens that have room.
        content: Its text, if that is known.
        num_registered: Blocks of tokens whose text has been registered, or was found.
        calm_tokens: Up to so many tokens growth takes no block, fills none and leaves none stale;
            0 while a block may be stale.
    """

    __slots__ = (
        "_block_tokens",
        "_is_state",
        "_num_state_rows",
        "_older_row",
        "_states",
        "_tables",
        "calm_tokens",
        "content",
        "num_registered",
        "tokens",
    )

    def __init__(
        self, is_state: Sequence[bool], block_tokens: int, prefix: Prefix | None = None
    ) -> None:
        """Start with the blocks of a prefix; one block of tokens is `block_tokens` tokens."""
        self._is_state = is_state
        self._block_tokens = block_tokens
        self.content: Content | None = None if prefix is None else prefix.content
        self.tokens = 0 if prefix is None else prefix.tokens
        self.calm_tokens = 0
        self.num_registered = self.tokens // block_tokens
        found = prefix.blocks if prefix is not None and prefix.tokens else ((),) * len(is_state)
        groups = list(zip(is_state, found, strict=True))
        self._tables = [[] if state else list(blocks) for state, blocks in groups]
        self._num_state_rows = self.num_registered
        self._older_row = -1
        self._states: dict[int, list[int]] = {}  # row -> a block a state group
        states = [block for state, blocks in groups if state for block in blocks]
        if states:
            self._states[self.num_registered - 1] = states

    def num_new(self, tokens: int) -> int:
        """Blocks that `grow` takes for room for so many tokens in all."""
        rows = ceil_div(tokens, self._block_tokens)
        new = 0
        for is_state, table in zip(self._is_state, self._tables, strict=True):
            new += rows > self._num_state_rows if is_state else max(0, rows - len(table))
        return new

    def grow(self, tokens: int, pool: BlockPool) -> list[int]:
        """Take the blocks that give room for so many tokens in all; returns them."""
        rows = ceil_div(tokens, self._block_tokens)
        taken: list[int] = []
        states: list[int] = []
        for is_state, table in zip(self._is_state, self._tables, strict=True):
            if not is_state:
                more = pool.take(max(0, rows - len(table)))
                table.extend(more)
                taken += more
            elif rows > self._num_state_rows:
                states += pool.take(1)
        if states:
            self._older_row = self._num_state_rows - 1
            self._states[rows - 1] = states
            self._num_state_rows = rows
        self.tokens = tokens
        self._calm()
        return taken + states

    def stale(self) -> list[int]:
        """State blocks before the present one, group by group, that no later token needs."""
        return self._state_blocks(self._stale_rows())

    def forget_stale(self) -> None:
        """Strike the stale blocks out."""
        for row in self._stale_rows():
            del self._states[row]
        self._calm()

    def in_order_of_release(self) -> list[int]:
        """All blocks: group by group, each table from its end to its start."""
        rows = sorted(self._states, reverse=True)
        found: list[int] = []
        number = 0
        for is_state, table in zip(self._is_state, self._tables, strict=True):
            found += [self._states[row][number] for row in rows] if is_state else table[::-1]
            number += is_state
        return found

    def rows(self, group: int, first: int, end: int) -> Iterator[tuple[int, int]]:
        """(row, block) of a group's rows from a first to before an end; null rows are left out."""
        if not self._is_state[group]:
            yield from zip(range(first, end), self._tables[group][first:end], strict=False)
            return
        number = sum(self._is_state[:group])
        for row in sorted(self._states):
            if first <= row < end:
                yield row, self._states[row][number]

    def all_rows(self, group: int) -> Iterator[tuple[int, int]]:
        """(row, block) of all of a group's rows that are not null."""
        return self.rows(group, 0, max(len(self._tables[group]), self._num_state_rows))

    def check_integrity(self) -> None:
        """Raise AssertionError if a table does not fit the tokens."""
        rows = ceil_div(self.tokens, self._block_tokens)
        groups = list(zip(self._is_state, self._tables, strict=True))
        whole = all(len(table) == rows for is_state, table in groups if not is_state)
        check(self.tokens > 0, "a sequence has no token")
        check(whole, "an attention table does not fit the tokens")
        if any(self._is_state):
            check(self._num_state_rows == rows, "a state table does not fit the tokens")
            check(max(self._states, default=-1) == rows - 1, "a sequence lacks its state")
            each = {len(blocks) for blocks in self._states.values()}
            check(each == {sum(self._is_state)}, "a state group lacks its block")
        full = self.tokens // self._block_tokens
        check(self.num_registered <= full, "a block is registered before it is full")
        calm = self.calm_tokens in {0, rows * self._block_tokens - 1}
        check(calm, "a sequence is calm beyond its last block")
        check(not self.calm_tokens or len(self._states) <= 1, "a calm sequence has a stale block")

    def _calm(self) -> None:
        rows = ceil_div(self.tokens, self._block_tokens)
        self.calm_tokens = 0 if len(self._states) > 1 else rows * self._block_tokens - 1

    def _stale_rows(self) -> list[int]:
        """As vLLM finds them: down from before the last computed row, and the row noted last."""
        if len(self._states) < 2:  # noqa: PLR2004 - the last one is the present state
            return []
        row = min((self.tokens - 1) // self._block_tokens, self._num_state_rows) - 1
        found = []
        while row in self._states:
            found.append(row)
            row -= 1
        older = self._older_row
        if older < ceil_div(self.tokens, self._block_tokens) - 1 and older in self._states:
            found += [older] if older not in found else []
        return found

    def _state_blocks(self, rows: Sequence[int]) -> list[int]:
        if not rows:
            return []
        each = len(self._states[rows[0]])
        return [self._states[row][number] for number in range(each) for row in rows]
