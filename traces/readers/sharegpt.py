"""ShareGPT conversations: the first question and answer of each become one request.

Token rule: max(1, round(1.3 x words)), words split at white space, as arXiv 2605.22416 counts them;
no tokenizer is needed and none is downloaded. Rounding is Python's (half to even).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from traces.content import read_bytes
from traces.record import DroppedRows, Trace, TraceError

if TYPE_CHECKING:
    from pathlib import Path

TOKENS_PER_WORD = 1.3
ASKS = frozenset({"human", "user"})
ANSWERS = frozenset({"gpt", "chatgpt", "assistant"})
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
        entries = _conversations(path)
        pairs = [pair for pair in map(_first_pair, entries) if pair is not None]
        if not pairs:
            raise TraceError(f"{path} holds no conversation with a human turn and an answer to it")
        lost = len(entries) - len(pairs)
        counts = np.array(pairs, dtype=np.int64)
        return Trace(
            name=path.name,
            prompt_tokens=counts[:, 0],
            output_tokens=counts[:, 1],
            dropped=(DroppedRows("no human turn with an answer", lost),) if lost else (),
        )


def count_tokens(text: str) -> int:
    """Tokens of a text by the rule of this module, at least 1."""
    return max(1, round(TOKENS_PER_WORD * len(text.split())))


def _conversations(path: Path) -> list[Any]:
    text = read_bytes(path).decode()
    try:
        entries = json.loads(text)
    except json.JSONDecodeError as error:
        raise TraceError(f"{path}, line {error.lineno}: malformed JSON; mend the file") from None
    except (ValueError, RecursionError):
        raise TraceError(f"{path} holds JSON that nests too deep or numbers too long") from None
    if not isinstance(entries, list):
        raise TraceError(f"{path} must hold one JSON list of conversations")
    return entries


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
