"""KV pages and state slots, a radix tree that fills them, and what goes when they run out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from allocator.handle import HandleLayout
from allocator.integrity import check
from allocator.interface import UNBOUNDED_TOKENS, OutOfMemoryError, PoolUsage
from allocator.page_table import PageTable
from allocator.prefix.named_pages import NamedPages
from allocator.prefix.radix_tree import RadixTree

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from allocator.backing import Backing
    from allocator.prefix.state_marks import StateMarks
    from allocator.run import Run


@dataclass(frozen=True, slots=True)
class RadixLayout:
    """Pools of a model, one a cache group, in their order.

    Attributes:
        names: Names of the pools.
        page_bytes: Bytes of a page of each.
        num_granules: Granules that hold each.
        is_state: Whether a pool holds states.
        num_pages: KV pages of each attention pool; 0 without one.
        num_slots: Slots of each state pool; 0 without one.
        page_tokens: Tokens of a KV page.
        marks: Which states are kept.
        states: Slots that a sequence is reckoned with; with fewer nothing is kept.
    """

    names: tuple[str, ...]
    page_bytes: tuple[int, ...]
    num_granules: tuple[int, ...]
    is_state: tuple[bool, ...]
    num_pages: int
    num_slots: int
    page_tokens: int
    marks: StateMarks
    states: int

    @property
    def has_kv(self) -> bool:
        """Whether the model has attention."""
        return not all(self.is_state)

    @property
    def has_states(self) -> bool:
        """Whether it has states."""
        return any(self.is_state)


class RadixPools:
    """Page i of all attention pools is one page here, slot i of all state pools one slot.

    A page or a slot is free, a sequence's own, or the tree's. What the tree has and nobody holds
    is cached: it counts as free, since taking evicts it where free pages or slots do not suffice.

    Attributes:
        tree: Texts whose pages and slots are the tree's.
        peak_granted_bytes: The most bytes of pages and slots that were held at once.
    """

    def __init__(self, backing: Backing, layout: RadixLayout) -> None:
        self.layout = layout
        self.tree = RadixTree(
            layout.page_tokens, has_kv=layout.has_kv, has_states=layout.has_states
        )
        self.peak_granted_bytes = 0
        self._backing = backing
        self._slabs = [_map(backing, granules) for granules in layout.num_granules]
        counts = [layout.num_slots if state else layout.num_pages for state in layout.is_state]
        self._table = PageTable(HandleLayout.for_table(len(counts), max(counts)), counts)
        self._state_pools = [pool for pool, state in enumerate(layout.is_state) if state]
        kv_pools = [pool for pool, state in enumerate(layout.is_state) if not state]
        self._kv = NamedPages(self._table, kv_pools, layout.num_pages)
        self._slots = NamedPages(self._table, self._state_pools, layout.num_slots)
        self._kv_bytes = sum(layout.page_bytes[pool] for pool in kv_pools)
        self._slot_bytes = sum(layout.page_bytes[pool] for pool in self._state_pools)

    @property
    def num_unused_pages(self) -> int:
        """KV pages that nobody has, not even the tree; as many as you like without attention."""
        return self._kv.num_free if self.layout.has_kv else UNBOUNDED_TOKENS

    @property
    def num_live_pages(self) -> int:
        """KV pages that sequences hold, their own and the tree's."""
        return self._kv.num_pages - self._kv.num_free - self._cached_pages

    @property
    def num_live_slots(self) -> int:
        """Slots that sequences hold, their own and the tree's."""
        return self._slots.num_pages - self._slots.num_free - self.tree.cached_states

    @property
    def _cached_pages(self) -> int:
        return self.tree.cached_tokens // self.layout.page_tokens if self.layout.has_kv else 0

    @property
    def can_take_slot(self) -> bool:
        """Whether a slot is free, or can be made so."""
        return self._slots.num_free + self.tree.cached_states > 0

    def check_room(self, pages: int, slots: int = 0) -> None:
        """Raise OutOfMemoryError unless so much can be taken."""
        if slots:
            self._check(slots, self._slots.num_pages - self.num_live_slots, is_state=True)
        if self.layout.has_kv:
            self._check(pages, self._kv.num_pages - self.num_live_pages, is_state=False)

    def take_pages(self, count: int) -> list[Run]:
        """Take KV pages; there must be room for them."""
        if not self.layout.has_kv:
            return []
        while self._kv.num_free < count:
            self._give(*self.tree.evict_leaf())
        runs = self._kv.take(count)
        self.note_peak()
        return runs

    def take_slot(self) -> int:
        """Take a slot; there must be room for it."""
        while not self._slots.num_free:
            self._give(*self.tree.evict_state())
        ((slot, _),) = self._slots.take(1)
        self.note_peak()
        return slot

    def give_pages(self, runs: Sequence[Run]) -> None:
        """Take KV pages back."""
        self._kv.give(runs)

    def give_slot(self, slot: int) -> None:
        """Take a slot back."""
        self._slots.give([(slot, 1)])

    def copy_state(self, source: int, target: int) -> None:
        """Copy the states of all state groups from one slot to another."""
        for pool in self._state_pools:
            size = self.layout.page_bytes[pool]
            self._backing.copy_pages(self._slabs[pool], size, [(source * size, target * size)])

    def handles(self, pool: int, runs: Sequence[Run]) -> tuple[int, ...]:
        """Names of pages or slots in one pool."""
        return tuple(self._table.handles(pool, runs))

    def note_peak(self) -> None:
        """Let the peak rise to the present."""
        now = self.num_live_pages * self._kv_bytes + self.num_live_slots * self._slot_bytes
        self.peak_granted_bytes = max(self.peak_granted_bytes, now)

    def usage(self) -> tuple[PoolUsage, ...]:
        """Each pool at this moment."""
        kv = self._kv.num_pages, self.num_live_pages, self._cached_pages, 0
        cached = self.tree.cached_states
        slots = self._slots.num_pages, self.num_live_slots, cached, cached
        layout = self.layout
        pools = zip(layout.names, layout.page_bytes, layout.is_state, strict=True)
        return tuple(PoolUsage(name, size, *(slots if s else kv)) for name, size, s in pools)

    def check_integrity(self, own_pages: Iterable[int], own_slots: Iterable[int]) -> None:
        """Raise AssertionError unless all that is not free is a sequence's own or the tree's."""
        self._backing.check_integrity()
        self._table.check_integrity()
        self.tree.check_integrity()
        self._kv.check_taken([*own_pages, *self.tree.pages()])
        self._slots.check_taken([*own_slots, *self.tree.slots()])
        before = self.peak_granted_bytes
        self.note_peak()
        check(before == self.peak_granted_bytes, "the peak lies below the present")

    def _check(self, asked: int, free: int, *, is_state: bool) -> None:
        if asked > free:
            name = self.layout.names[self.layout.is_state.index(is_state)]
            raise OutOfMemoryError(name, asked, free, largest=free)

    def _give(self, pages: list[Run], slot: int | None) -> None:
        self._kv.give(pages)
        if slot is not None:
            self.give_slot(slot)


def _map(backing: Backing, num_granules: int) -> int:
    """A slab with so many granules, mapped for good; its number."""
    slab = backing.reserve(num_granules * backing.granule_bytes)
    if num_granules:
        backing.map(slab, 0, num_granules)
    return slab
