"""What a register is told, written down as integers, to be done later and in order."""

from __future__ import annotations

from array import array
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from allocator.spill import Spill

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BLOCK_WORDS = 1 << 16
"""Words that leave memory together: 512 KiB."""

# A record opens with a word whose three low bits say what it is; the others hold a number.
ADMISSION = 0  # seat; then blocks
RELEASE = 1  # seat; then blocks
ROUNDS = 2  # how many rounds; then how many seats, the size of each round, and the seats
GROWTH = 3  # how many pairs; then these, seat and blocks each
RESIZE = 4  # pool; then its pages
VACATING = 5  # pool; then the first page that is to be free

Position = tuple[int, int]
"""Blocks before a place in the journal, and words of its block before it."""

START = (0, 0)


class Told(Protocol):
    """What can be told the calls of a journal; see `Register`."""

    def admit(self, seat: int, blocks: int) -> None:
        """A sequence comes."""

    def grow(self, shares: Sequence[tuple[int, int]]) -> None:
        """Sequences get blocks."""

    def grow_in_rounds(self, seats: Sequence[int], sizes: Sequence[int]) -> None:
        """Sequences get a block each, round by round."""

    def release(self, seat: int, blocks: int) -> None:
        """A sequence goes."""

    def resize(self, number: int, num_pages: int) -> object:
        """A pool gets another length."""

    def vacate(self, number: int, first: int) -> object:
        """Live pages move down."""


class Journal:
    """Records of calls; what no longer fits a block of memory lies in a file.

    Attributes:
        words: The last block, to which whoever writes appends whole records.
    """

    def __init__(self) -> None:
        self.words: list[int] = []  # a list gains a record faster than an array
        self._spill = Spill()

    @property
    def end(self) -> Position:
        """Where the next record will stand."""
        return len(self._spill), len(self.words)

    def close_record(self) -> None:
        """Called after a record was appended: a full block leaves memory."""
        if len(self.words) >= BLOCK_WORDS:
            self._spill.write(array("q", self.words))
            self.words = []

    def tell(self, register: Told, start: Position = START) -> None:
        """Make the calls written down from a position on."""
        for words in self._read(start):
            _tell(register, words)

    def clear(self) -> None:
        """Forget everything; the next record stands at the start."""
        self.words = []
        self._spill.clear()

    def _read(self, start: Position) -> Iterator[list[int]]:
        """Blocks from a position on; no record crosses the edge of one."""
        first, word = start
        for number in range(first, len(self._spill)):
            words = array("q")
            words.frombytes(self._spill.read(number))
            yield words[word:].tolist()
            word = 0
        yield self.words[word:]


def _tell(register: Told, records: list[int]) -> None:
    """Make the calls of a block; rounds that follow each other are one call."""
    words = iter(records)
    seats: list[int] = []
    sizes: list[int] = []
    for word in words:
        kind, number = word & 7, word >> 3
        if kind == ROUNDS:
            count = next(words)
            sizes += islice(words, number)
            seats += islice(words, count)
            continue
        if sizes:
            register.grow_in_rounds(seats, sizes)
            seats, sizes = [], []
        if kind == ADMISSION:
            register.admit(number, next(words))
        elif kind == RELEASE:
            register.release(number, next(words))
        elif kind == RESIZE:
            register.resize(number, next(words))
        elif kind == VACATING:
            register.vacate(number, next(words))
        else:
            pairs = list(islice(words, 2 * number))
            register.grow(list(zip(pairs[::2], pairs[1::2], strict=True)))
    if sizes:
        register.grow_in_rounds(seats, sizes)
