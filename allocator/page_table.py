"""Handle -> physical page: one table for the pages of every pool, whatever their size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from allocator.handle import StaleHandleError
from allocator.integrity import check
from allocator.run import append_run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from allocator.handle import HandleLayout
    from allocator.run import Run


class TableListener(Protocol):
    """Hears of every name as it is given and taken."""

    def given(self, pool: int, handles: Sequence[int]) -> None:
        """Pages of a pool have got names, in this order."""

    def taken(self, pool: int, handles: Sequence[int]) -> None:
        """Names are taken back, in this order; they still name their pages."""


class PageTable:
    """One entry a page of each pool: whether it is live, and its generation, a byte each.

    Entry and page have the same number until a page is moved: then two entries exchange their
    pages, and every handle keeps its meaning; once neither is live, they change back. Names are
    issued and retired by runs, so a prompt's pages cost a few array operations.
    """

    def __init__(self, layout: HandleLayout, pages_by_pool: Sequence[int]) -> None:
        self.layout = layout
        self._live = [bytearray(count) for count in pages_by_pool]
        self._generation = [bytearray(b"\x01") * count for count in pages_by_pool]
        after = [*range(1, layout.num_generations + 1), 1]  # of generation 0, 1, 2, ...
        self._next_generation = bytes([*after, *bytes(256 - len(after))])
        self._page_of: list[dict[int, int]] = [{} for _ in pages_by_pool]  # moved entries only
        self._entry_at: list[dict[int, int]] = [{} for _ in pages_by_pool]  # its inverse
        self._changed: list[set[int]] | None = None  # entries, once somebody follows them

    def issue(self, pool: int, runs: list[Run]) -> list[Run]:
        """Name free pages of a pool, in order; returns the entries that name them, as runs."""
        if self._entry_at[pool]:
            runs = _through(self._entry_at[pool], runs)
        live = self._live[pool]
        for first, count in runs:
            if count == 1:
                live[first] = 1
            else:
                live[first : first + count] = b"\x01" * count
        return runs

    def retire(self, pool: int, runs: list[Run]) -> list[Run]:
        """Take names of live pages back; returns the pages they named, as runs.

        Raises:
            StaleHandleError: If one of them is not live; nothing is retired.
        """
        live = self._live[pool]
        for number, (first, count) in enumerate(runs):
            if count == 1 and live[first]:
                live[first] = 0
            elif live.find(0, first, first + count) < 0:
                live[first : first + count] = bytes(count)
            else:
                for start, length in runs[:number]:
                    live[start : start + length] = b"\x01" * length
                raise StaleHandleError(f"an entry from {first} to {first + count - 1} is not live")
        generation, after = self._generation[pool], self._next_generation
        for first, count in runs:
            if count == 1:
                generation[first] = after[generation[first]]
                continue
            end = first + count
            generation[first:end] = generation[first:end].translate(after)
        if not self._page_of[pool]:
            return runs
        pages = _through(self._page_of[pool], runs)
        for first, count in runs:
            for entry in _keys_within(self._page_of[pool], first, count):
                self._send_home(pool, entry)
        return pages

    def pages(self, pool: int, runs: list[Run]) -> list[Run]:
        """The pages that entries name, in order, as runs."""
        return _through(self._page_of[pool], runs) if self._page_of[pool] else runs

    def move(self, pool: int, source: int, target: int) -> None:
        """Let the entry that names page `source` name page `target`, and the other way round."""
        entry_at = self._entry_at[pool]
        moved, displaced = entry_at.get(source, source), entry_at.get(target, target)
        self._place(pool, moved, target)
        self._place(pool, displaced, source)
        for entry in (moved, displaced):
            if not self._live[pool][entry]:  # else dead entries of a page moved thrice stay astray
                self._send_home(pool, entry)

    def report_to(self, listener: TableListener) -> None:
        """Tell a listener of each name given and taken from now on.

        What tells stands before the table's own methods, so that a table that nobody listens to
        pays nothing for it.
        """
        issue, retire = self.issue, self.retire

        def issue_and_tell(pool: int, runs: list[Run]) -> list[Run]:
            entries = issue(pool, runs)
            listener.given(pool, self.handles(pool, entries))
            return entries

        def tell_and_retire(pool: int, runs: list[Run]) -> list[Run]:
            listener.taken(pool, self.handles(pool, runs))
            return retire(pool, runs)

        self.issue = issue_and_tell  # type: ignore[method-assign]
        self.retire = tell_and_retire  # type: ignore[method-assign]

    @property
    def num_entries(self) -> tuple[int, ...]:
        """Entries of each pool."""
        return tuple(map(len, self._live))

    def follow(self) -> None:
        """Note from now on which entries change their page; all are at home, or it is too late.

        Raises:
            ValueError: If a page has been moved already.
        """
        if any(self._page_of):
            raise ValueError("a page table is followed from the start or not at all")
        self._changed = [set() for _ in self._live]

    def take_changes(self) -> list[dict[int, int]]:
        """Page of each entry that has changed since the last call, by pool; see `follow`."""
        changed = self._changed or []
        taken = [
            {entry: page_of.get(entry, entry) for entry in entries}
            for page_of, entries in zip(self._page_of, changed, strict=bool(changed))
        ]
        for entries in changed:
            entries.clear()
        return taken

    def handles(self, pool: int, runs: Sequence[Run]) -> list[int]:
        """The handles of live entries, in order."""
        layout = self.layout
        prefix = layout.pack(pool, 0, 0)
        handles: list[int] = []
        for first, count in runs:
            entries = np.arange(first, first + count, dtype=np.uint32)
            part = self._generation[pool][first : first + count]
            generation = np.frombuffer(part, dtype=np.uint8).astype(np.uint32)
            handles += (generation << layout.index_bits | entries | np.uint32(prefix)).tolist()
        return handles

    def page(self, handle: int) -> tuple[int, int]:
        """Pool and physical page that a live handle names.

        Raises:
            StaleHandleError: If the handle is not live.
        """
        pool, generation, entry = self.layout.unpack(handle)
        known = 0 <= pool < len(self._live) and entry < len(self._live[pool])
        if known and self._live[pool][entry] and self._generation[pool][entry] == generation:
            return pool, self._page_of[pool].get(entry, entry)
        raise StaleHandleError(f"handle {handle:#010x} is stale or was never issued")

    def live_pages(self) -> Iterator[tuple[int, int]]:
        """(pool, page) of every live entry, in order of entry."""
        for pool, live in enumerate(self._live):
            for entry in np.flatnonzero(np.frombuffer(live, dtype=np.uint8)).tolist():
                yield pool, self._page_of[pool].get(entry, entry)

    def check_integrity(self) -> None:
        """Raise AssertionError unless entries and pages stand one to one."""
        for live, page_of, entry_at in zip(self._live, self._page_of, self._entry_at, strict=True):
            check(not live.translate(None, b"\x00\x01"), "page table: an entry is half live")
            inverse = {page: entry for entry, page in page_of.items()}
            check(inverse == entry_at, "page table: entries and pages do not match")
            check(page_of.keys() == entry_at.keys(), "page table: a page is named twice or never")
            known = set(range(len(live)))
            check(page_of.keys() <= known, "page table: an entry was moved that never was")
            moved = all(entry != page for entry, page in page_of.items())
            check(moved, "page table: a page at home counts as moved")
        pages = list(self.live_pages())
        check(len(set(pages)) == len(pages), "page table: two live handles name one page")

    def _send_home(self, pool: int, entry: int) -> None:
        """Let a retired entry, and the one at home on its page, name their own pages again."""
        live, page_of, entry_at = self._live[pool], self._page_of[pool], self._entry_at[pool]
        home = page_of.get(entry, entry)
        if home != entry and not live[home]:
            self._place(pool, entry, page_of[home])
            self._place(pool, home, home)
        guest = entry_at.get(entry, entry)
        if guest != entry and not live[guest]:
            self._place(pool, guest, page_of[entry])
            self._place(pool, entry, entry)

    def _place(self, pool: int, entry: int, page: int) -> None:
        if self._changed is not None:
            self._changed[pool].add(entry)
        if entry == page:
            self._page_of[pool].pop(entry, None)
            self._entry_at[pool].pop(page, None)
        else:
            self._page_of[pool][entry] = page
            self._entry_at[pool][page] = entry


def _through(moved: dict[int, int], runs: list[Run]) -> list[Run]:
    """Runs with every number that a table moves exchanged for its new one, in order."""
    changed: list[Run] = []
    for start, count in runs:
        first = start
        for number in _keys_within(moved, start, count):
            if number > first:
                append_run(changed, first, number - first)
            append_run(changed, moved[number], 1)
            first = number + 1
        if first < start + count:
            append_run(changed, first, start + count - first)
    return changed


def _keys_within(moved: dict[int, int], first: int, count: int) -> list[int]:
    """Those keys that a run holds, in order; looks at the smaller of the two."""
    if count < len(moved):
        return [number for number in range(first, first + count) if number in moved]
    return sorted(number for number in moved if first <= number < first + count)
