"""What a sequence's tokens are, as far as it matters: equal or not."""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from allocator.prefix.spans import Span

Piece = tuple[int, int]
"""A segment, and how many of its first tokens."""

KEY_BYTES = 16
"""Among a billion different blocks two share a key of 128 bits with a probability below 1e-20."""


class Content:
    """The text of a sequence, its output included: the first tokens of one segment after another.

    Two tokens are equal exactly when their segments and their places in them are. A block of a
    text has a key that stands for the text from its start to the end of the block: a digest of
    the pieces in the block and of the key before it, as engines chain their block hashes. Keys
    are made when asked for, and kept.
    """

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self._pieces = [piece for piece in pieces if piece[1]]
        self._block_tokens = 0
        self._restart(0)

    def keys(self, block_tokens: int, count: int) -> list[bytes]:
        """The keys of the first blocks of so many tokens each; the list may hold more.

        Raises:
            ValueError: If the text is shorter.
        """
        if block_tokens != self._block_tokens:
            self._restart(block_tokens)
        while len(self._keys) < count:
            self._keys.append(self._next_key())
        return self._keys

    def spans(self, tokens: int) -> list[Span]:
        """The first so many tokens.

        Raises:
            ValueError: If the text is shorter.
        """
        spans, left = [], tokens
        for segment, length in self._pieces:
            if not left:
                break
            part = min(left, length)
            spans.append((segment, 0, part))
            left -= part
        if left:
            raise ValueError(f"{tokens} tokens were asked for, the text is {left} shorter")
        return spans

    def _restart(self, block_tokens: int) -> None:
        self._block_tokens = block_tokens
        self._keys: list[bytes] = []
        self._piece = 0  # the next token is of this piece
        self._offset = 0  # and has this place in it

    def _next_key(self) -> bytes:
        digest = hashlib.blake2b(self._keys[-1] if self._keys else b"", digest_size=KEY_BYTES)
        left = self._block_tokens
        while left:
            if self._piece == len(self._pieces):
                raise ValueError("a key was asked for beyond the end of the text")
            segment, length = self._pieces[self._piece]
            part = min(left, length - self._offset)
            digest.update(struct.pack("<3q", segment, self._offset, part))
            left -= part
            self._offset += part
            if self._offset == length:
                self._piece, self._offset = self._piece + 1, 0
        return digest.digest()
