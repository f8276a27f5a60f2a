"""Edits of valid examples that keep their structure, or break it in one place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from tests.fuzz.hostile import DEEP, MARKS, NUMBERS, PREFIXES, WORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST_BYTES = 1 << 17
_TOKEN = re.compile(
    rb"[+-]?\d[\d_]*(?:\.\d*)?(?:[eE][+-]?\d+)?|[A-Za-z_][\w.-]*|\"(?:[^\"\\\n]|\\.)*\"|[^\s\w]"
)
_PAIRS = {b"[": b"]", b"{": b"}", b"(": b")"}
T = TypeVar("T")


class Mutator:
    """Makes one input of another; equal seeds give equal inputs.

    Args:
        seed: Of the generator.
        examples: Inputs whose tokens and lines are put into each other.
    """

    def __init__(self, seed: int, examples: Sequence[bytes]) -> None:
        self._rng = np.random.default_rng(seed)
        self._examples = examples
        self._tokens = sorted({token for text in examples for token in _TOKEN.findall(text)})

    def fresh(self) -> bytes:
        """An example after some edits."""
        return self.mutate(self._any(self._examples))

    def mutate(self, text: bytes, most: int = MOST_BYTES) -> bytes:
        """A text after one edit to four, cut to a number of bytes."""
        if self._rng.random() < 0.01:
            return self._insert(text, self._any(DEEP))[:most]
        for _ in range(min(4, int(self._rng.geometric(0.65)))):
            text = EDITS[int(self._rng.integers(len(EDITS)))](self, text)
        return text[:most]

    def replace_token(self, text: bytes) -> bytes:
        """Another token of the same kind, most often a hostile one."""
        found = self._token(text)
        if found is None:
            return self.insert_mark(text)
        start, end = found
        return text[:start] + self._instead_of(text[start:end]) + text[end:]

    def change_number(self, text: bytes) -> bytes:
        """A number becomes its neighbour, its negative, or another order of magnitude."""
        numbers = [match.span() for match in re.finditer(rb"\d+", text)]
        if not numbers:
            return self.replace_token(text)
        start, end = numbers[int(self._rng.integers(len(numbers)))]
        digits = text[start:end]
        changed = (
            *(b"-" + digits, digits + b"0" * int(self._rng.integers(1, 20)), digits[:-1] or b"0"),
            *(str(int(digits[:4000]) + 1).encode(), digits + b".5", digits[::-1]),
        )
        return text[:start] + self._any(changed) + text[end:]

    def drop_token(self, text: bytes) -> bytes:
        """One token less."""
        found = self._token(text)
        return text if found is None else text[: found[0]] + text[found[1] :]

    def double_token(self, text: bytes) -> bytes:
        """One token twice."""
        found = self._token(text)
        return text if found is None else text[: found[1]] + text[found[0] :]

    def swap_tokens(self, text: bytes) -> bytes:
        """Two tokens change places."""
        spans = sorted(filter(None, (self._token(text), self._token(text))))
        if len(spans) < 2 or spans[0][1] > spans[1][0]:
            return text
        (a, b), (c, d) = spans
        return text[:a] + text[c:d] + text[b:c] + text[a:b] + text[d:]

    def change_lines(self, text: bytes) -> bytes:
        """A line is dropped, doubled, swapped with another, or taken from another example."""
        lines = text.splitlines(keepends=True) or [b""]
        i, j = (int(self._rng.integers(len(lines))) for _ in range(2))
        kind = int(self._rng.integers(4))
        if kind == 0:
            del lines[i]
        elif kind == 1:
            lines.insert(j, lines[i])
        elif kind == 2:
            lines[i], lines[j] = lines[j], lines[i]
        else:
            other = self._any(self._examples).splitlines(keepends=True) or [b""]
            lines.insert(i, self._any(other))
        return b"".join(lines)

    def change_group(self, text: bytes) -> bytes:
        """What stands in brackets is dropped, doubled or nested, brackets and all."""
        opening = [match.start() for match in re.finditer(rb"[\[({]", text)]
        if not opening:
            return self.change_lines(text)
        start = opening[int(self._rng.integers(len(opening)))]
        end = _end_of_group(text, start)
        group = text[start:end]
        instead = self._any((b"", b"null", b"[]", b"{}", group + b"," + group, b"[" + group + b"]"))
        return text[:start] + instead + text[end:]

    def insert_mark(self, text: bytes) -> bytes:
        """A mark or a hostile token anywhere."""
        return self._insert(text, self._any(self._any((MARKS, WORDS, NUMBERS))))

    def change_bytes(self, text: bytes) -> bytes:
        """Some bytes at random, or the text cut off."""
        if not text:
            return bytes(self._rng.integers(0, 256, 8, dtype=np.uint8))
        at = int(self._rng.integers(len(text)))
        if self._rng.random() < 0.3:
            return text[:at]
        noise = bytes(self._rng.integers(0, 256, int(self._rng.integers(1, 5)), dtype=np.uint8))
        return text[:at] + noise + text[at + len(noise) :]

    def put_before(self, text: bytes) -> bytes:
        """What marks another encoding or another kind of file."""
        if self._rng.random() < 0.2:
            return text.decode("utf-8", "replace").encode("utf-16")
        return self._any(PREFIXES) + text

    def _instead_of(self, token: bytes) -> bytes:
        choices = NUMBERS if token[:1].isdigit() or token[:1] in b"+-" else WORDS
        if token.startswith(b'"'):
            return (
                b'"' + self._any(WORDS) + b'"' if self._rng.random() < 0.5 else self._any(NUMBERS)
            )
        return (
            self._any(self._tokens)
            if self._rng.random() < 0.4 and self._tokens
            else self._any(choices)
        )

    def _token(self, text: bytes) -> tuple[int, int] | None:
        """The place of a token near a random place; a long text is not searched whole."""
        at = int(self._rng.integers(len(text) + 1))
        found = _TOKEN.search(text, at) or _TOKEN.search(text)
        return None if found is None else found.span()

    def _insert(self, text: bytes, what: bytes) -> bytes:
        at = int(self._rng.integers(len(text) + 1))
        return text[:at] + what + text[at:]

    def _any(self, choices: Sequence[T]) -> T:
        return choices[int(self._rng.integers(len(choices)))]


def _end_of_group(text: bytes, start: int) -> int:
    """Behind the bracket that closes one; the end of the text where none does."""
    opens = text[start : start + 1]
    closes, depth = _PAIRS[opens], 0
    for at in range(start, len(text)):
        depth += (text[at : at + 1] == opens) - (text[at : at + 1] == closes)
        if depth == 0:
            return at + 1
    return len(text)


EDITS: tuple[Callable[[Mutator, bytes], bytes], ...] = (
    *(Mutator.replace_token,) * 6,
    *(Mutator.change_number,) * 3,
    Mutator.drop_token,
    Mutator.double_token,
    Mutator.swap_tokens,
    *(Mutator.change_lines,) * 2,
    *(Mutator.change_group,) * 2,
    *(Mutator.insert_mark,) * 2,
    Mutator.change_bytes,
    Mutator.put_before,
)
