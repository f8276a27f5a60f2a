"""A register that writes down what it is told, and does it when somebody looks."""

from __future__ import annotations

from array import array
from itertools import islice
from typing import TYPE_CHECKING

from allocator.register import Register
from allocator.spill import Spill

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from allocator.demand import Demand
    from allocator.pool import Pool
    from allocator.register import Entries, PlainRegister

BLOCK_WORDS = 1 << 16
"""Words that leave memory together: 512 KiB."""

# A record opens with a word whose three low bits say what it is; the others hold a number.
ADMISSION = 0  # seat; then blocks
RELEASE = 1  # seat; then blocks
ROUND = 2  # how many seats; then these
GROWTH = 3  # how many pairs; then these, seat and blocks each
RESIZE = 4  # pool; then its pages


class JournaledRegister(Register):
    """Keeps another register's calls as integers, and makes them in order once it has to `settle`.

    So whoever only counts pays for no pages, and whoever looks finds exactly what he would have
    found. For pools that hand out their lowest free page first: of the pages below one that is
    taken all are live, so it lies below the number of live pages once it is. Hence no live page
    lies at or beyond the greatest number of live pages since the oldest sequence was admitted, or
    beyond the last one that a look has found. That tells, without a look, that the end of a pool
    is free. Oldest is counted in *ages*: one ends when all sequences have gone that were there
    when it began, so those that are there were admitted in this age or the last.
    """

    def __init__(self, inner: PlainRegister, pools: Sequence[Pool], admission: Demand) -> None:
        self._inner = inner
        self._pools = pools
        self._pages = {number: (each, once) for number, each, once in admission.by_pool}
        self._words = array("q")
        self._spill = Spill()
        self._blocks = self._seats = 0
        self._most = self._most_before = (
            0,
            0,
        )  # blocks and seats at once, in this age and the last
        self._young: set[int] = set()  # seats admitted in this age
        self._ends = [0] * len(pools)  # of live pages, at a look at the start of this age

    def admit(self, seat: int, blocks: int) -> None:
        """See `Register.admit`."""
        self._words.extend((seat << 3 | ADMISSION, blocks))
        self._young.add(seat)
        self._seats += 1
        self._count(blocks)

    def grow(self, shares: Sequence[tuple[int, int]]) -> None:
        """See `Register.grow`."""
        self._words.append(len(shares) << 3 | GROWTH)
        for share in shares:
            self._words.extend(share)
        self._count(sum(blocks for _, blocks in shares))

    def grow_in_rounds(self, rounds: Sequence[Sequence[int]]) -> None:
        """See `Register.grow_in_rounds`."""
        blocks = 0
        for seats in rounds:
            count = len(seats)
            self._words.extend((count << 3 | ROUND, *seats))
            blocks += count
        self._count(blocks)

    def release(self, seat: int, blocks: int) -> None:
        """See `Register.release`."""
        self._words.extend((seat << 3 | RELEASE, blocks))
        self._young.discard(seat)
        self._seats -= 1
        self._blocks -= blocks
        if self._seats == len(self._young):
            self._begin_age(self._most, [0] * len(self._ends))

    def resize(self, number: int, num_pages: int) -> None:
        """See `Register.resize`."""
        self._words.extend((number << 3 | RESIZE, num_pages))

    def entries(self, seat: int) -> Entries:
        """See `Register.entries`."""
        self.settle()
        return self._inner.entries(seat)

    def end_of_live(self, number: int) -> int:
        """See `Register.end_of_live`: the first that is known without a look."""
        each, once = self._pages[number]
        peaks = [blocks * each + seats * once for blocks, seats in (self._most, self._most_before)]
        return max(self._ends[number], *peaks)

    def settle(self) -> None:
        """See `Register.settle`."""
        if not self._words and not self._spill:
            return
        for words in self._records():
            self._make(words)
        self._words = array("q")
        self._spill.clear()
        self._begin_age((0, 0), [pool.end_of_live for pool in self._pools])

    def _begin_age(self, most_before: tuple[int, int], ends: list[int]) -> None:
        self._most_before, self._most = most_before, (self._blocks, self._seats)
        self._young.clear()
        self._ends = ends

    def _count(self, blocks: int) -> None:
        self._blocks += blocks
        most_blocks, most_seats = self._most
        if self._blocks > most_blocks or self._seats > most_seats:
            self._most = max(self._blocks, most_blocks), max(self._seats, most_seats)
        if len(self._words) >= BLOCK_WORDS:
            self._spill.write(self._words)
            self._words = array("q")

    def _records(self) -> Iterator[array[int]]:
        """What was written down, block by block; no record crosses the edge of a block."""
        for number in range(len(self._spill)):
            words = array("q")
            words.frombytes(self._spill.read(number))
            yield words
        yield self._words

    def _make(self, records: array[int]) -> None:
        """Make the calls of a block; rounds that follow each other are one."""
        inner, words = self._inner, iter(records)
        rounds: list[list[int]] = []
        for word in words:
            kind, number = word & 7, word >> 3
            if kind == ROUND:
                rounds.append(list(islice(words, number)))
                continue
            if rounds:
                inner.grow_in_rounds(rounds)
                rounds = []
            if kind == ADMISSION:
                inner.admit(number, next(words))
            elif kind == RELEASE:
                inner.release(number, next(words))
            elif kind == RESIZE:
                inner.resize(number, next(words))
            else:
                pairs = list(islice(words, 2 * number))
                inner.grow(list(zip(pairs[::2], pairs[1::2], strict=True)))
        if rounds:
            inner.grow_in_rounds(rounds)
