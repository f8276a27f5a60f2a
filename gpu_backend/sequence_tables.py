"""The device's copy of a manager's books: what handles mean, and which pages a sequence has."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from allocator.spec import ceil_div

if TYPE_CHECKING:
    from collections.abc import Sequence as Listed

    from numpy.typing import NDArray

    from allocator.demand import GroupCut
    from allocator.page_table import PageTable
    from allocator.spec import CacheSpec
    from gpu_backend.arena import Arena
    from sim.request import Sequence


class PagedManager(Protocol):
    """What is asked of a manager whose pages hold real bytes."""

    spec: CacheSpec

    @property
    def paging(self) -> tuple[PageTable, Listed[GroupCut]]:
        """What handles mean, and how each group is cut into pages."""

    def block_table(self, sequence: int, group: str) -> Listed[int]:
        """Handles of a sequence's pages in one cache group, in order of tokens then layers."""

    def block_table_from(self, sequence: int, group: int, block: int) -> Listed[int]:
        """Those of a group, by its number, from a block on; the cost follows how many they are."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the tables hold.

    Attributes:
        max_sequences: Sequences that one step may compute.
        max_tokens: Tokens of the longest sequence.
        max_step_tokens: Tokens that one step may compute.
    """

    max_sequences: int
    max_tokens: int
    max_step_tokens: int


@dataclass(slots=True)
class _Row:
    number: int
    place: int = -1  # of the admission whose pages it shows
    num_blocks: int = 0


class SequenceTables:
    """Keeps the device's tables like the manager's, at the cost of what changes.

    A sequence has a row as long as it is among those computed last, and the row is filled anew
    when the sequence is admitted again or has lost it; so nobody needs to be told who is gone.
    """

    def __init__(self, manager: PagedManager, arena: Arena, max_sequences: int) -> None:
        """Follow a manager that has moved no page yet, in an arena with `table_shapes`."""
        self._manager = manager
        self._arena = arena
        self._table, self._cuts = manager.paging
        self._table.follow()
        self._rows: OrderedDict[int, _Row] = OrderedDict()  # by request, least recent first
        self._free = list(range(max_sequences))
        for pool, entries in enumerate(self._table.num_entries):
            arena.write(page_of_name(pool), 0, np.arange(entries, dtype=np.int32))

    def row_of(self, sequence: Sequence, tokens: int) -> int:
        """The row of a sequence; pages of its first tokens are noted for the next flush."""
        row = self._rows.get(sequence.request_id)
        if row is None:
            row = self._rows[sequence.request_id] = _Row(self._new_number())
        else:
            self._rows.move_to_end(sequence.request_id)
        if row.place != sequence.place:  # another admission: other pages
            row.place, row.num_blocks = sequence.place, 0
            self._note_states(sequence.request_id, row.number)
        blocks = ceil_div(tokens, self._manager.spec.page_tokens)
        if blocks > row.num_blocks:
            self._note_blocks(sequence.request_id, row, blocks)
        return row.number

    def note_moves(self) -> None:
        """Note what has become of entries since the last time."""
        for pool, pages in enumerate(self._table.take_changes()):
            if pages:
                places = np.fromiter(pages.keys(), np.int32, len(pages))
                values = np.fromiter(pages.values(), np.int32, len(pages))
                self._arena.write_at(page_of_name(pool), places, values)

    def _new_number(self) -> int:
        if self._free:
            return self._free.pop()
        _, evicted = self._rows.popitem(last=False)
        return evicted.number

    def _note_states(self, sequence: int, row: int) -> None:
        for group, (_, _, is_state) in zip(self._manager.spec.groups, self._cuts, strict=True):
            if is_state:
                handles = _words(self._manager.block_table(sequence, group.name))
                self._arena.write(handles_name(group.name), row * len(handles), handles)

    def _note_blocks(self, sequence: int, row: _Row, blocks: int) -> None:
        """Note blocks that the row does not show yet: so many words a layer."""
        first = row.num_blocks
        for number, (_, shape, is_state) in enumerate(self._cuts):
            if is_state:
                continue
            group = self._manager.spec.groups[number]
            name, layers = handles_name(group.name), shape.pages_per_block
            handles = _words(self._manager.block_table_from(sequence, number, first))
            by_layer = handles.reshape(-1, layers)[: blocks - first].T
            max_blocks = self._arena.sections[name].shape[2]
            of_layers = (row.number * layers + np.arange(layers, dtype=np.int32)) * max_blocks
            places = of_layers[:, None] + np.arange(first, blocks, dtype=np.int32)
            self._arena.write_at(name, places.ravel(), by_layer.ravel())
        row.num_blocks = blocks


def table_shapes(manager: PagedManager, limits: Limits) -> dict[str, tuple[int, ...]]:
    """Sections that an arena needs for the tables of a manager."""
    table, cuts = manager.paging
    shapes: dict[str, tuple[int, ...]] = {
        page_of_name(pool): (entries,) for pool, entries in enumerate(table.num_entries)
    }
    max_blocks = ceil_div(limits.max_tokens, manager.spec.page_tokens)
    for group, (_, shape, is_state) in zip(manager.spec.groups, cuts, strict=True):
        row = (shape.pages_per_block,) if is_state else (shape.pages_per_block, max_blocks)
        shapes[handles_name(group.name)] = (limits.max_sequences, *row)
    return shapes


def page_of_name(pool: int) -> str:
    """Section that says which page each entry of a pool names."""
    return f"page of entry, pool {pool}"


def handles_name(group: str) -> str:
    """Section with the handles of a cache group: (sequences, layers, blocks) or without blocks."""
    return f"handles, {group}"


def _words(handles: Listed[int]) -> NDArray[np.int32]:
    """Handles as words; those from 2**31 on turn negative, bit for bit."""
    return np.array(handles, dtype=np.uint32).view(np.int32)
