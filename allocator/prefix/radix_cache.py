"""SGLang's two static pools with its radix cache: what ended sequences computed stays in a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.cohort import BlockCohort
from allocator.integrity import check
from allocator.interface import NO_TERMS, UNBOUNDED_TOKENS, Terms, Usage
from allocator.prefix.interface import Prefix, PrefixSharing
from allocator.prefix.radix_held import RadixHeld
from allocator.prefix.radix_pools import RadixLayout, RadixPools
from allocator.prefix.spans import cut_runs, cut_spans
from allocator.run import deal_runs, pages_of_runs
from allocator.spec import CacheSpec, ceil_div

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.backing import Backing
    from allocator.cohort import Cohort
    from allocator.prefix.content import Content
    from allocator.prefix.interface import Evictions
    from allocator.prefix.radix_node import Node


class RadixCache(PrefixSharing):
    """A sequence enters with what the tree has of its text, and leaves its own text there.

    It holds the KV it found and copies the state at its end into a slot of its own, since it
    will overwrite it. After each chunk, and when it ends, its text goes into the tree with a
    state at the end; pages of what another has put there meanwhile are given back. One that ends
    before, by preemption, leaves no more than its chunks did. What nobody holds is evicted when
    pages or slots run short, and then only.
    """

    name = "sglang"
    summary = "the pools of sglang, and a radix tree that keeps what was computed"
    source = "SGLang 0.5.23: mem_cache/unified_radix_cache.py and unified_cache/, source read"
    Options = RadixLayout

    def __init__(self, spec: CacheSpec, backing: Backing, options: RadixLayout) -> None:
        layout = options
        self.spec = spec
        self.backing = backing
        self.checkpoint_tokens = 0
        self._pools = RadixPools(backing, layout)
        self._tree = self._pools.tree
        self._page_tokens, self._marks = layout.page_tokens, layout.marks
        self._has_states = layout.has_states
        self._keeps = not layout.has_states or layout.num_slots >= layout.states
        if layout.has_states:
            self.max_sequences = max(1, layout.num_slots // layout.states)
        self._held: dict[int, RadixHeld] = {}
        self._cohort = BlockCohort(self, self._held, self._page_tokens)
        self._own_tokens = 0  # of all sequences, beside the tree

    @property
    def max_sequence_tokens(self) -> int:
        """See `CacheManager.max_sequence_tokens`."""
        layout = self._pools.layout
        if layout.has_states and layout.num_slots < 1 + self._marks.num_tracked:
            return 0
        return layout.num_pages * self._page_tokens if layout.has_kv else UNBOUNDED_TOKENS

    def find_prefix(self, content: Content, tokens: int) -> Prefix:
        """See `PrefixSharing.find_prefix`: whole pages, up to a state if there are any."""
        tokens -= tokens % self._page_tokens
        found, depth = self._tree.find(content.spans(tokens)) if self._keeps else (0, 0)
        return Prefix(content, found, depth - found, stamp=self._tree.num_removed)

    def begin_step(self) -> None:
        """See `PrefixSharing.begin_step`: what is in the tree has been computed."""

    def evictions(self) -> Evictions:
        """See `PrefixSharing.evictions`."""
        return self._tree.evictions()

    def admit(self, sequence: int, tokens: int, terms: Terms = NO_TERMS) -> None:
        """See `CacheManager.admit`; the tokens of a prefix count among the first ones."""
        if sequence in self._held:
            raise ValueError(f"sequence {sequence} is already admitted")
        if tokens < 1:
            raise ValueError("a sequence is admitted with at least one token")
        prefix = terms.prefix
        if prefix is not None:
            self._check_prefix(prefix, tokens)
        self._check_admission(tokens, terms)
        held = self._held[sequence] = self._enter(sequence, prefix)
        self._grow([(held, self._missing_blocks(held, tokens))])
        held.tokens = tokens
        self._own_tokens += tokens - held.kept_tokens

    def extend(self, sequence: int, tokens: int) -> None:
        """See `CacheManager.extend`."""
        self.extend_all([sequence], tokens)

    def extend_all(self, sequences: Sequence[int], tokens: int) -> None:
        """See `CacheManager.extend_all`."""
        batch = [self._held[sequence] for sequence in sequences]
        if tokens < 0:
            raise ValueError("a sequence does not shrink")
        missing = ((held, self._missing_blocks(held, held.tokens + tokens)) for held in batch)
        self._grow([(held, blocks) for held, blocks in missing if blocks > 0])
        for held in batch:
            held.tokens += tokens
        self._own_tokens += tokens * len(batch)

    def new_cohort(self) -> Cohort:
        """See `CacheManager.new_cohort`."""
        self._cohort = BlockCohort(self, self._held, self._page_tokens)
        return self._cohort

    def growth_blocks(self) -> int:
        """Blocks that running sequences can gain while nothing is evicted."""
        return self._pools.num_unused_pages

    def grow_in_rounds(self, seats: Sequence[int], sizes: Sequence[int]) -> None:
        """See `Grower.grow_in_rounds`; the seats are the sequences."""
        del sizes
        self._grow([(self._held[sequence], 1) for sequence in seats])

    def count_tokens(self, tokens: int) -> None:
        """So many tokens more have room, by a cohort."""
        self._own_tokens += tokens

    def trim(self, sequence: int) -> None:
        """See `PrefixSharing.trim`: there is nothing of the kind."""
        if sequence not in self._held:
            raise KeyError(sequence)

    def keep(self, sequence: int, tokens: int) -> None:
        """See `PrefixSharing.keep`; if no slot can be had for the state, nothing is kept."""
        held = self._held[sequence]
        end = self._marks.of_chunk(held.computed_tokens, tokens, held.fork_tokens)
        held.computed_tokens = tokens
        if not self._is_worth(held, end) or (self._has_states and not self._pools.can_take_slot):
            return
        node = self._insert(held, end, self._spare_state(held) if self._has_states else None)
        self._tree.hold(node)
        self._tree.let_go(held.node)
        held.node = node
        self._pools.note_peak()

    def retire(self, sequence: int) -> None:
        """See `PrefixSharing.retire`; the slot of the last state that may be kept goes over."""
        held = self._held[sequence]
        end = self._marks.of_end(held.computed_tokens, held.tokens)
        if self._is_worth(held, end):
            self._insert(held, end, held.slots.pop() if self._has_states else None)
        self.release(sequence)

    def release(self, sequence: int) -> None:
        """See `CacheManager.release`; what it shares stays in the tree."""
        held = self._held.pop(sequence)
        self._pools.give_pages(held.own_pages)
        for slot in held.slots:
            self._pools.give_slot(slot)
        self._tree.let_go(held.node)
        self._own_tokens -= held.tokens - held.kept_tokens

    def block_table(self, sequence: int, group: str) -> Sequence[int]:
        """See `CacheManager.block_table`; of states only its own."""
        held = self._held[sequence]
        number = next((n for n, g in enumerate(self.spec.groups) if g.name == group), None)
        if number is None:
            raise KeyError(group)
        if self._pools.layout.is_state[number]:
            return self._pools.handles(number, [(held.slots[0], 1)])
        shared = [run for node in held.node.path() for run in node.pages]
        return self._pools.handles(number, [*shared, *held.own_pages])

    def usage(self) -> Usage:
        """See `CacheManager.usage`; pages that only the tree has count as free, and as cached."""
        granule, total = self.backing.granule_bytes, self.backing.num_granules
        tokens = self._own_tokens + self._tree.held_tokens  # once, however many hold them
        state_bytes = len(self._held) * self.spec.bytes_per_sequence()
        return Usage(
            budget_bytes=total * granule,
            footprint_bytes=(total - self.backing.num_free_granules) * granule,
            pools=self._pools.usage(),
            needed_bytes=tokens * self.spec.bytes_per_token() + state_bytes,
            reserve_bytes=0,
            peak_granted_bytes=self._pools.peak_granted_bytes,
        )

    def check_integrity(self) -> None:
        """See `CacheManager.check_integrity`."""
        self._cohort.check_integrity()
        holders: dict[Node, int] = {}
        pages: list[int] = []
        for held in self._held.values():
            self._check_held(held)
            holders[held.node] = holders.get(held.node, 0) + 1
            pages += pages_of_runs(held.own_pages)
        slots = [slot for held in self._held.values() for slot in held.slots]
        self._pools.check_integrity(pages, slots)
        for node in self._tree.nodes():
            check(node.state_holders == holders.pop(node, 0), "holders of a node are miscounted")
        check(holders.keys() <= {self._tree.root}, "a sequence holds a node that is gone")
        own = sum(held.tokens - held.kept_tokens for held in self._held.values())
        check(own == self._own_tokens, "tokens beside the tree are miscounted")
        usage = self.usage()
        check(usage.internal_waste_bytes >= 0, "sequences need more than they hold")
        check(usage.external_waste_bytes >= 0, "pages lie outside the budget")

    def _check_held(self, held: RadixHeld) -> None:
        size = self._page_tokens
        shared = sum(node.tokens for node in held.node.path())
        check(shared == held.kept_tokens, "a sequence shares what it does not hold")
        check(held.kept_tokens <= held.tokens, "a sequence shares more than it has")
        blocks = ceil_div(held.tokens - shared, size) if self._pools.layout.has_kv else 0
        check(sum(count for _, count in held.own_pages) == blocks, "pages do not fit the tokens")
        slots = 1 + self._marks.num_tracked if self._has_states else 0
        check(len(held.slots) == slots, "a sequence lacks a slot")

    def _check_prefix(self, prefix: Prefix, tokens: int) -> None:
        if prefix.stamp != self._tree.num_removed:
            raise ValueError("pages were evicted since the prefix was found: find it again")
        if prefix.tokens >= tokens:
            raise ValueError("at least one token beyond the prefix must be computed")

    def _check_admission(self, tokens: int, terms: Terms) -> None:
        """Raise OutOfMemoryError unless a new sequence can have room, on its terms."""
        layout, size, prefix = self._pools.layout, self._page_tokens, terms.prefix
        blocks = ceil_div(max(tokens, terms.room_tokens), size)
        blocks += ceil_div(terms.others_tokens, size)
        slots = 1 + self._marks.num_tracked if layout.has_states else 0
        if prefix is not None:
            loose, has_loose_state = self._tree.loose_part(prefix.content.spans(prefix.tokens))
            blocks -= (prefix.tokens - loose) // size
            slots += has_loose_state
        if layout.has_states:
            slots += int(terms.margin * layout.num_slots)
        self._pools.check_room(blocks + int(terms.margin * layout.num_pages), slots)

    def _enter(self, sequence: int, prefix: Prefix | None) -> RadixHeld:
        """A new sequence with what was found of its text, and slots; it has room."""
        if prefix is None or not self._keeps:
            held = RadixHeld(sequence, None, self._tree.root)
        else:
            node = self._tree.reach(prefix.content.spans(prefix.tokens))
            held = RadixHeld(sequence, prefix.content, node)
            held.kept_tokens = held.computed_tokens = held.tokens = prefix.tokens
            held.fork_tokens = prefix.tokens + prefix.stateless_tokens
        self._tree.hold(held.node)
        self._pools.note_peak()
        if self._has_states:
            held.slots = [self._pools.take_slot() for _ in range(1 + self._marks.num_tracked)]
            if held.node.state is not None:
                self._pools.copy_state(held.node.state, held.slots[0])
        return held

    def _missing_blocks(self, held: RadixHeld, tokens: int) -> int:
        return ceil_div(tokens, self._page_tokens) - ceil_div(held.tokens, self._page_tokens)

    def _grow(self, growing: Sequence[tuple[RadixHeld, int]]) -> None:
        """Give (what a sequence holds, blocks) their blocks, in order, or raise."""
        total = sum(blocks for _, blocks in growing)
        self._pools.check_room(total)
        if self._pools.layout.has_kv:
            shares = [(held.own_pages, blocks) for held, blocks in growing]
            deal_runs(self._pools.take_pages(total), shares)

    def _is_worth(self, held: RadixHeld, end: int) -> bool:
        """Whether keeping a text up to there adds to what is kept; a state needs whole pages."""
        rest = end % self._page_tokens
        return (
            held.content is not None
            and end - rest > held.kept_tokens
            and not (rest and self._has_states)
        )

    def _spare_state(self, held: RadixHeld) -> int:
        """A slot with the state to keep after a chunk: a copy, or one tracked, then replaced."""
        slot = self._pools.take_slot()
        if self._marks.num_tracked:
            slot, held.slots[-1] = held.slots[-1], slot
        else:
            self._pools.copy_state(held.slots[0], slot)
        return slot

    def _insert(self, held: RadixHeld, end: int, slot: int | None) -> Node:
        """Put a sequence's text into the tree up to some token; from now on it shares so much."""
        if held.content is None:
            raise ValueError("a text that is not known cannot be kept")
        end -= end % self._page_tokens
        more = end - held.kept_tokens
        spans = cut_spans(held.content.spans(end), held.kept_tokens)[1]
        mine, held.own_pages = cut_runs(held.own_pages, more // self._page_tokens)
        node, doubles = self._tree.insert(held.node, spans, mine)
        self._pools.give_pages(doubles)
        if slot is not None and not self._tree.leave_state(node, slot):
            self._pools.give_slot(slot)
        held.kept_tokens = end
        self._own_tokens -= more
        return node
