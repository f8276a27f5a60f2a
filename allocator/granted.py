"""How much is granted, by count: blocks and sequences, which say what every pool has given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.integrity import check
from allocator.spec import ceil_div

if TYPE_CHECKING:
    from collections.abc import Sequence


class Granted:
    """A sequence has a state, and as many blocks as its tokens begin.

    Attributes:
        tokens: Tokens that have room; who grows counts them, and blocks, itself.
        blocks: Blocks of them.
        sequences: Sequences admitted.
        peak_bytes: The most bytes ever granted at once, when that was last noted.
        pages: Of each pool, the pages of a block and those of a state.
    """

    __slots__ = (
        "_block_bytes",
        "_state_bytes",
        "blocks",
        "pages",
        "peak_bytes",
        "sequences",
        "tokens",
    )

    def __init__(self, pages: Sequence[tuple[int, int]], page_bytes: Sequence[int]) -> None:
        """Nothing yet.

        Args:
            pages: Of each pool, the pages of a block and those of a state.
            page_bytes: Of each pool, the bytes of a page.
        """
        self.pages = pages
        priced = list(zip(pages, page_bytes, strict=True))
        self._block_bytes = sum(each * size for (each, _), size in priced)
        self._state_bytes = sum(once * size for (_, once), size in priced)
        self.tokens = self.blocks = self.sequences = self.peak_bytes = 0

    def live(self, number: int, blocks: int = 0, sequences: int = 0) -> int:
        """Pages of a pool, with so many blocks and sequences more."""
        each, once = self.pages[number]
        return (self.blocks + blocks) * each + (self.sequences + sequences) * once

    def admit(self, tokens: int, blocks: int) -> None:
        """Count a new sequence."""
        self.sequences += 1
        self.tokens += tokens
        self.blocks += blocks

    def note_peak(self) -> None:
        """Let the present be the peak if more is granted than ever; only what goes can hide it."""
        granted_bytes = self.blocks * self._block_bytes + self.sequences * self._state_bytes
        self.peak_bytes = max(self.peak_bytes, granted_bytes)

    def release(self, tokens: int, blocks: int) -> None:
        """Count a sequence no more."""
        self.note_peak()
        self.sequences -= 1
        self.tokens -= tokens
        self.blocks -= blocks

    def check_integrity(self, lengths: Sequence[int], block_tokens: int) -> None:
        """Raise AssertionError unless this is what sequences of these lengths have."""
        check(len(lengths) == self.sequences, "sequences are miscounted")
        check(sum(lengths) == self.tokens, "live tokens are miscounted")
        blocks = sum(ceil_div(tokens, block_tokens) for tokens in lengths)
        check(blocks == self.blocks, "granted blocks are miscounted")
