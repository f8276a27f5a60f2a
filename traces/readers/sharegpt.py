"""ShareGPT conversations: the first question and answer of each become one request.

Token rule: max(1, round(1.3 x words)), words split at white space, as arXiv 2605.22416 counts them;
no tokenizer is needed and none is downloaded. Rounding is Python's (half to even).
"""

from __future__ import annotations

import json
import re
from array import array
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from traces.bounds import MOST_LINE_BYTES, MOST_REQUESTS
from traces.content import texts
from traces.record import DroppedRows, Trace, TraceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKENS_PER_WORD = 1.3
ASKS = frozenset({"human", "user"})
ANSWERS = frozenset({"gpt", "chatgpt", "assistant"})
_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\r\n]*")
_HEAD = re.compile(r"\s*\[\s*\{")


@dataclass(frozen=True, slots=True)
class ShareGptReader:
    """Lengths only: the conversations carry no times."""

    name: str = "sharegpt"
    description: str = "ShareGPT JSON: each first question and answer, 1.3 tokens a word, no times"
    source: str = "https://huggingface.co/datasets/anon8231489123/ShareGPT_Vicuna_unfiltered"

    def sniff(self, head: str) -> bool:
        """Whether the text starts a JSON list of objects and names `conversations`."""
        return _HEAD.match(head) is not None and '"conversations"' in head

    def read(self, path: Path) -> Trace:
        """Read a whole file; conversations without a question and its answer are dropped.

        Raises:
            TraceError: No JSON list of conversations, or no usable one in it.
        """
        counts, lost = array("q"), 0
        for entry in _Conversations(path).entries():
            pair = _first_pair(entry)
            lost += pair is None
            counts.extend(pair or ())
        if not counts:
            raise TraceError(f"{path} holds no conversation with a human turn and an answer to it")
        if len(counts) > 2 * MOST_REQUESTS:
            raise TraceError(f"{path} holds more than {MOST_REQUESTS:,} conversations; cut it")
        pairs = np.array(counts, dtype=np.int64).reshape(-1, 2)
        return Trace(
            name=path.name,
            prompt_tokens=pairs[:, 0].copy(),
            output_tokens=pairs[:, 1].copy(),
            dropped=(DroppedRows("no human turn with an answer", lost),) if lost else (),
        )


def count_tokens(text: str) -> int:
    """Tokens of a text by the rule of this module, at least 1."""
    return max(1, round(TOKENS_PER_WORD * len(text.split())))


class _Conversations:
    """The entries of one JSON list, one at a time: the text is never in memory as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pieces = texts(path)
        self._text, self._at, self._num_lines = "", 0, 0

    def entries(self) -> Iterator[Any]:
        """Each entry of the list.

        Raises:
            TraceError: It is no JSON list; a line is malformed, nests too deep, or is too long.
        """
        if self._next_sign() != "[":
            raise TraceError(f"{self._path} must hold one JSON list of conversations")
        self._at += 1
        if self._next_sign() == "]":
            return
        while True:
            yield self._entry()
            sign = self._next_sign()
            self._at += 1
            if sign == "]":
                break
            if sign != ",":
                raise self._malformed(self._at - 1)
        if self._next_sign():
            raise self._malformed(self._at)

    def _next_sign(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr] # always matches
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._fetch():
                return ""

    def _entry(self) -> Any:  # noqa: ANN401 - whatever the JSON holds
        self._next_sign()
        while True:
            try:
                entry, self._at = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                is_long = len(self._text) - self._at > MOST_LINE_BYTES
                if is_long or not self._fetch(len(self._text) - self._at):
                    raise self._malformed(error.pos) from None
            except (ValueError, RecursionError):
                raise TraceError(
                    f"{self._path} holds JSON that nests too deep or numbers too long"
                ) from None
            else:
                return entry

    def _fetch(self, least: int = 1) -> bool:
        """Drop what is read and add at least so much text; false if there is no more."""
        self._num_lines += self._text.count("\n", 0, self._at)
        parts, size = [self._text[self._at :]], 0
        self._at = 0
        for piece in self._pieces:
            parts.append(piece)
            size += len(piece)
            if size >= least:
                break
        self._text = "".join(parts)
        return size > 0

    def _malformed(self, at: int) -> TraceError:
        line = self._num_lines + self._text.count("\n", 0, at) + 1
        return TraceError(f"{self._path}, line {line}: malformed JSON; mend the file")


def _first_pair(entry: Any) -> tuple[int, int] | None:  # noqa: ANN401 - whatever the JSON holds
    """Tokens of the first question that is answered by the turn behind it."""
    turns = entry.get("conversations") if isinstance(entry, dict) else None
    for ask, answer in pairwise(turns if isinstance(turns, list) else []):
        texts = (_text(ask, ASKS), _text(answer, ANSWERS))
        if texts[0] is not None and texts[1] is not None:
            return count_tokens(texts[0]), count_tokens(texts[1])
    return None


def _text(turn: Any, speakers: frozenset[str]) -> str | None:  # noqa: ANN401
    if not isinstance(turn, dict) or not isinstance(turn.get("from"), str):
        return None
    value = turn.get("value")
    return value if turn["from"] in speakers and isinstance(value, str) else None


READER = ShareGptReader()
