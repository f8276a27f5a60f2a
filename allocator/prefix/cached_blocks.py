"""vLLM's one pool of equal blocks with prefix caching: shared, and kept when released."""

from __future__ import annotations

from collections import Counter
from itertools import takewhile
from typing import TYPE_CHECKING

from allocator.handle import HandleLayout
from allocator.integrity import check
from allocator.interface import NO_TERMS, UNBOUNDED_TOKENS, OutOfMemoryError, Terms, Usage
from allocator.page_table import PageTable
from allocator.prefix.block_layout import BlockLayout
from allocator.prefix.block_pool import BlockPool
from allocator.prefix.interface import Evictions, Prefix, PrefixSharing
from allocator.prefix.sequence_blocks import SequenceBlocks
from allocator.run import runs_of_pages
from allocator.spec import CacheSpec, ceil_div

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.backing import Backing
    from allocator.prefix.content import Content


class CachedBlocks(PrefixSharing):
    """Full blocks are found again by their text until they are taken for another.

    Attention blocks are found one after another from the start of a text, a state only at the
    end of a block where one was left (vLLM's mode align); without a state in all state groups
    the KV before it is useless. Registering happens when a step is planned, so a block may be
    found before it has been computed; an attention block may be used at once, since the step
    computes it in time, a state may not.
    """

    name = "vllm"
    summary = "the blocks of vllm, shared by sequences of equal text"
    source = "vLLM 0.24.0 (v1 block pool and coordinators), decision logs of its real scheduler"
    Options = BlockLayout

    def __init__(self, spec: CacheSpec, backing: Backing, options: BlockLayout) -> None:
        layout = options
        self.spec = spec
        self.backing = backing
        self._layout = layout
        self._block_tokens = layout.block_tokens
        self._is_state = layout.is_state
        self._num_attention = sum(not state for state in self._is_state)
        self._num_states = sum(self._is_state)
        self.checkpoint_tokens = self._block_tokens if self._num_states else 0
        granule_bytes = backing.granule_bytes
        slab = backing.reserve(backing.num_granules * granule_bytes)
        backing.map(slab, 0, backing.num_granules)
        usable = max(0, backing.num_granules * granule_bytes // layout.block_bytes - 1)
        self._pool = BlockPool(usable, self._is_state)
        self._table = PageTable(HandleLayout.for_table(1, usable + 1), [usable + 1])
        self._held: dict[int, SequenceBlocks] = {}
        self._fresh: set[bytes] = set()  # texts whose state the present step computes
        self._live_tokens = 0
        self._num_doubled = [0] * len(self._is_state)  # holders of blocks beyond the first
        self._peak_live = 0

    @property
    def max_sequence_tokens(self) -> int:
        """See `CacheManager.max_sequence_tokens`: at a boundary it holds two states a group.

        vLLM reserves two for its longest request at start-up, and refuses to start otherwise.
        """
        usable, tokens = self._pool.num_blocks, self._block_tokens
        if not self._num_attention:
            rows = usable // self._num_states
            return UNBOUNDED_TOKENS if rows > 1 else rows * tokens
        rows = (usable - 2 * self._num_states) // self._num_attention
        alone = int(usable >= self._num_attention + self._num_states)
        return max(rows if rows > 1 else 0, alone) * tokens

    def find_prefix(self, content: Content, tokens: int) -> Prefix:
        """See `PrefixSharing.find_prefix`; only whole blocks are found."""
        index, limit = self._pool.index, tokens // self._block_tokens
        keys = content.keys(self._block_tokens, limit)[:limit]
        rows = len(keys)
        if self._num_attention:
            rows = sum(1 for _ in takewhile(lambda key: self._has(key, state=False), keys))
        hit = rows
        if self._num_states:
            hit = next((n for n in range(rows, 0, -1) if self._has(keys[n - 1], state=True)), 0)
        wanted = [keys[hit - 1 : hit] if state else keys[:hit] for state in self._is_state]
        blocks = [
            tuple(block for key in part if (block := index.first(group, key)) is not None)
            for group, part in enumerate(wanted)
        ]
        return Prefix(
            content=content,
            tokens=hit * self._block_tokens,
            stateless_tokens=(rows - hit) * self._block_tokens if self._num_attention else 0,
            is_pending=hit > 0 and keys[hit - 1] in self._fresh,
            blocks=tuple(blocks),
            stamp=index.num_forgotten,
        )

    def begin_step(self) -> None:
        """See `PrefixSharing.begin_step`."""
        self._fresh.clear()

    def evictions(self) -> Evictions:
        """See `PrefixSharing.evictions`; tokens are those of the first attention group."""
        return self._pool.evictions(self._block_tokens)

    def admit(self, sequence: int, tokens: int, terms: Terms = NO_TERMS) -> None:
        """See `CacheManager.admit`; the tokens of a prefix count among the first ones."""
        if sequence in self._held:
            raise ValueError(f"sequence {sequence} is already admitted")
        if tokens < 1:
            raise ValueError("a sequence is admitted with at least one token")
        if terms.prefix is not None:
            self._check_prefix(terms.prefix, tokens)
        blocks = SequenceBlocks(self._is_state, self._block_tokens, terms.prefix)
        self._check_admission(blocks, tokens, terms)
        if terms.prefix is not None:
            self._hold(terms.prefix)
        self._held[sequence] = blocks
        self._live_tokens += tokens
        self._grow(blocks, tokens)

    def extend(self, sequence: int, tokens: int) -> None:
        """See `CacheManager.extend`; stale blocks are taken back first."""
        blocks = self._held[sequence]
        if tokens < 0:
            raise ValueError("a sequence does not shrink")
        if blocks.tokens + tokens <= blocks.calm_tokens:
            blocks.tokens += tokens
            self._live_tokens += tokens
        elif tokens:
            self._extend([blocks], tokens)

    def extend_all(self, sequences: Sequence[int], tokens: int) -> None:
        """See `CacheManager.extend_all`; one after the other, as `extend`."""
        batch = [self._held[sequence] for sequence in sequences]
        if tokens < 0:
            raise ValueError("a sequence does not shrink")
        if tokens:
            self._extend(batch, tokens)

    def trim(self, sequence: int) -> None:
        """See `PrefixSharing.trim`."""
        blocks = self._held[sequence]
        if not blocks.calm_tokens:
            self._trim(blocks)

    def release(self, sequence: int) -> None:
        """See `CacheManager.release`; texts stay findable until their blocks are taken."""
        blocks = self._held.pop(sequence)
        self._live_tokens -= blocks.tokens
        for group, is_state in enumerate(self._is_state):
            if not is_state:
                shared = (self._pool.num_holders(b) > 1 for _, b in blocks.all_rows(group))
                self._num_doubled[group] -= sum(shared)
        self._give(blocks.in_order_of_release())

    def block_table(self, sequence: int, group: str) -> Sequence[int]:
        """See `CacheManager.block_table`; null entries are left out."""
        blocks = self._held[sequence]
        tables = self._layout.tables_of(group)
        rows = sorted((row, t, block) for t in tables for row, block in blocks.all_rows(t))
        return tuple(self._table.handles(0, runs_of_pages(block for _, _, block in rows)))

    def usage(self) -> Usage:
        """See `CacheManager.usage`; free blocks count as free whatever text they keep."""
        pool = self._pool.usage(self._layout.block_bytes)
        budget_bytes = self.backing.num_granules * self.backing.granule_bytes
        return Usage(
            budget_bytes=budget_bytes,
            footprint_bytes=budget_bytes,
            pools=(pool,),
            needed_bytes=self._needed_bytes(),
            reserve_bytes=0,
            peak_granted_bytes=self._peak_live * pool.page_bytes,
        )

    def check_integrity(self) -> None:
        """See `CacheManager.check_integrity`."""
        self.backing.check_integrity()
        self._table.check_integrity()
        self._pool.check_integrity()
        holders = dict.fromkeys(range(1, self._pool.num_blocks + 1), 0)
        for blocks in self._held.values():
            blocks.check_integrity()
            mine = blocks.in_order_of_release()
            check(len(set(mine)) == len(mine), "a sequence holds a block twice")
            for block in mine:
                holders[block] += 1
        counted = all(self._pool.num_holders(block) == n for block, n in holders.items())
        check(counted, "holders are miscounted")
        live = {(0, block) for block, n in holders.items() if n}
        check(live == set(self._table.live_pages()), "names and live blocks do not match")
        tokens = sum(blocks.tokens for blocks in self._held.values())
        check(tokens == self._live_tokens, "live tokens are miscounted")
        self._check_doubled()
        check(self._peak_live >= self._pool.num_live, "the peak lies below the present")
        check(self.usage().internal_waste_bytes >= 0, "sequences need more than they hold")
        check(self.backing.num_free_granules == 0, "a granule is not mapped")

    def _check_doubled(self) -> None:
        for group, is_state in enumerate(self._is_state):
            held = [b for blocks in self._held.values() for _, b in blocks.all_rows(group)]
            doubled = 0 if is_state else len(held) - len(set(held))
            check(doubled == self._num_doubled[group], "shared blocks are miscounted")

    def _check_prefix(self, prefix: Prefix, tokens: int) -> None:
        if prefix.stamp != self._pool.index.num_forgotten:
            raise ValueError("blocks were evicted since the prefix was found: find it again")
        if prefix.is_pending:
            raise ValueError("the prefix is computed by this very step: wait for the next")
        if prefix.tokens >= tokens:
            raise ValueError("at least one token beyond the prefix must be computed")

    def _check_admission(self, blocks: SequenceBlocks, tokens: int, terms: Terms) -> None:
        """Raise OutOfMemoryError unless a new sequence can have room, on its terms."""
        room = max(tokens, terms.room_tokens)
        free = self._pool.num_free
        if room > self.max_sequence_tokens:
            rows = ceil_div(room, self._block_tokens)
            asked = rows * self._num_attention + 2 * self._num_states
        else:
            found = terms.prefix.blocks if terms.prefix is not None else ()
            revived = sum(not self._pool.num_holders(b) for part in found for b in part)
            asked = blocks.num_new(room) + revived
        asked += ceil_div(terms.others_tokens, self._block_tokens) * self._num_attention
        asked += int(terms.margin * (self._pool.num_blocks + 1))  # a share of all, null block too
        if asked > free:
            raise OutOfMemoryError("blocks", asked, free, largest=free)

    def _extend(self, batch: Sequence[SequenceBlocks], tokens: int) -> None:
        """Extend all of some sequences, each in its turn, or raise before the first."""
        free, asked, going = self._pool.num_free, 0, 0
        dropped: Counter[int] = Counter()
        for blocks in batch:
            for block in blocks.stale():
                dropped[block] += 1
                going += dropped[block] == self._pool.num_holders(block)
            asked += blocks.num_new(blocks.tokens + tokens)
            if asked > free + going:
                raise OutOfMemoryError("blocks", asked, free, largest=free + going)
        for blocks in batch:
            self._trim(blocks)
            self._grow(blocks, blocks.tokens + tokens)
        self._live_tokens += tokens * len(batch)

    def _has(self, key: bytes, *, state: bool) -> bool:
        """Whether every group of a kind has a block of a text."""
        first = self._pool.index.first
        groups = (g for g, is_state in enumerate(self._is_state) if is_state is state)
        return all(first(group, key) is not None for group in groups)

    def _hold(self, prefix: Prefix) -> None:
        for group, part in enumerate(prefix.blocks):
            revived = [block for block in part if self._pool.hold(block)]
            self._table.issue(0, runs_of_pages(revived))
            if not self._is_state[group]:
                self._num_doubled[group] += len(part) - len(revived)

    def _grow(self, blocks: SequenceBlocks, tokens: int) -> None:
        taken = blocks.grow(tokens, self._pool)
        if taken:
            self._table.issue(0, runs_of_pages(taken))
            self._peak_live = max(self._peak_live, self._pool.num_live)
        full = tokens // self._block_tokens
        if blocks.content is not None and full > blocks.num_registered:
            self._register(blocks, blocks.content.keys(self._block_tokens, full), full)

    def _register(self, blocks: SequenceBlocks, keys: list[bytes], full: int) -> None:
        for group, is_state in enumerate(self._is_state):
            for row, block in blocks.rows(group, blocks.num_registered, full):
                self._pool.index.register(group, keys[row], block)
                if is_state:
                    self._fresh.add(keys[row])
        blocks.num_registered = full

    def _trim(self, blocks: SequenceBlocks) -> None:
        stale = blocks.stale()
        if stale:
            blocks.forget_stale()
            self._give(stale)

    def _give(self, blocks: list[int]) -> None:
        self._table.retire(0, runs_of_pages(self._pool.give(blocks)))

    def _needed_bytes(self) -> int:
        """Each token once, however many sequences share it, and a state a sequence."""
        total = len(self._held) * self.spec.bytes_per_sequence()
        for table, doubled in zip(self._layout.token_bytes, self._num_doubled, strict=True):
            total += table * (self._live_tokens - doubled * self._block_tokens)
        return total
