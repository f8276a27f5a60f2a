"""Mooncake's JSON Lines: milliseconds, lengths and the hashes of 512-token prefix blocks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from traces.bounds import MOST_PREFIX_BLOCKS
from traces.columns import ColumnMapping, TraceBuilder
from traces.jsonl_table import JsonLines, json_keys, json_line_parts
from traces.record import TraceError

if TYPE_CHECKING:
    from pathlib import Path

    from traces.record import Int64Array, Trace

BLOCK_TOKENS = 512
MAX_BLOCK_ID = 2**63 - 1
_COLUMNS = ColumnMapping(
    arrival="timestamp", prompt="input_length", output="output_length", unit="ms"
)


@dataclass(frozen=True, slots=True)
class MooncakeReader:
    """Keeps `hash_ids` as prefixes; files without them are read as requests that share nothing."""

    name: str = "mooncake"
    description: str = "Mooncake JSON Lines: milliseconds, lengths and prefix blocks of 512 tokens"
    source: str = "https://github.com/kvcache-ai/Mooncake (FAST 2025)"

    def sniff(self, head: str) -> bool:
        """Whether the first object has a timestamp and both lengths under Mooncake's keys."""
        return set(json_keys(head)).issuperset(_COLUMNS.names)

    def read(self, path: Path) -> Trace:
        """Read a whole file.

        Raises:
            TraceError: A line is unusable, or its `hash_ids` cannot be prefix blocks of its prompt.
        """
        builder, prefixes = TraceBuilder(_COLUMNS), _Prefixes(path)
        for part in json_line_parts(path, _COLUMNS.names, extra=("hash_ids",)):
            prefixes.add(part, builder.add(part.table(_COLUMNS.names)))
        trace = builder.trace()
        if not prefixes.num_blocks:
            return trace
        return replace(trace, prefixes=tuple(prefixes.rows), prefix_block_tokens=BLOCK_TOKENS)


class _Prefixes:
    """Block ids of the requests read so far."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rows: list[tuple[int, ...]] = []
        self.num_blocks = 0

    def add(self, part: JsonLines, prompt_tokens: Int64Array) -> None:
        """Those of some more; TraceError if they cannot be blocks of these prompts."""
        blocks = -(-prompt_tokens // BLOCK_TOKENS)
        self.rows += (_prefix(part, row, most) for row, most in enumerate(blocks.tolist()))
        self.num_blocks += sum(map(len, self.rows[-len(blocks) :]))
        if self.num_blocks > MOST_PREFIX_BLOCKS:
            raise TraceError(
                f"{self._path} holds more than {MOST_PREFIX_BLOCKS:,} hash_ids; cut it"
            )


def _prefix(content: JsonLines, row: int, most: int) -> tuple[int, ...]:
    ids = content.values["hash_ids"][row]
    if ids is None:
        return ()
    if not isinstance(ids, tuple) or not _are_block_ids(ids):
        raise content.fail(row, "hash_ids must be a list of whole numbers from 0 to 2**63 - 1")
    if len(ids) > most:
        raise content.fail(
            row, f"{len(ids)} hash_ids for a prompt of {most} blocks of {BLOCK_TOKENS} tokens"
        )
    return ids


def _are_block_ids(ids: tuple[Any, ...]) -> bool:
    if not set(map(type, ids)) <= {int}:
        return False
    return not ids or (min(ids) >= 0 and max(ids) <= MAX_BLOCK_ID)


READER = MooncakeReader()
