"""Runs of consecutive pages: what pools and page table pass to each other."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Run = tuple[int, int]
"""First page and number of pages."""


def runs_of_mask(mask: int, first: int) -> Iterator[Run]:
    """Runs of the bits set in a mask, lowest first; bit 0 stands for page `first`."""
    while mask:
        start = (mask & -mask).bit_length() - 1
        shifted = mask >> start
        length = (~shifted & (shifted + 1)).bit_length() - 1
        yield first + start, length
        mask = (shifted >> length) << (start + length)


def runs_of_pages(pages: Iterable[int]) -> list[Run]:
    """Pages in order as runs; a page that does not follow its predecessor starts a new one."""
    numbered = enumerate(pages)
    groups = (list(group) for _, group in groupby(numbered, lambda pair: pair[1] - pair[0]))
    return [(group[0][1], len(group)) for group in groups]


def pages_of_runs(runs: Iterable[Run]) -> list[int]:
    """Every page of some runs, in order."""
    return [page for first, count in runs for page in range(first, first + count)]


def append_run(runs: list[Run], first: int, count: int) -> None:
    """Add a run to a list of runs, as part of the last one if it follows it."""
    if runs:
        last_first, last_count = runs[-1]
        if last_first + last_count == first:
            runs[-1] = (last_first, last_count + count)
            return
    runs.append((first, count))


def tail_of_runs(runs: Sequence[Run], count: int) -> list[Run]:
    """The last so many pages of some runs, in order; looks at no others."""
    tail: list[Run] = []
    for first, length in reversed(runs):
        if count <= 0:
            break
        part = min(length, count)
        tail.append((first + length - part, part))
        count -= part
    tail.reverse()
    return tail


def deal_runs(runs: Iterable[Run], shares: Sequence[tuple[list[Run], int]]) -> None:
    """Add the pages of some runs, in order, to lists of runs: so many to each."""
    source = iter(runs)
    first = left = 0
    for entries, count in shares:
        missing = count
        while missing:
            if not left:
                first, left = next(source)
            part = min(left, missing)
            append_run(entries, first, part)
            first, left, missing = first + part, left - part, missing - part
