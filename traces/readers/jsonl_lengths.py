"""JSON Lines of prompt and output lengths, as benchmark clients of serving engines write them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from traces.columns import ColumnMapping, trace_from
from traces.content import read_head
from traces.jsonl_table import json_keys, json_line_parts
from traces.record import TraceError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from traces.record import Trace

LENGTH_KEYS = (
    ("prompt_len", "output_len"),
    ("prompt_tokens", "output_tokens"),
    ("prompt_tokens_count", "output_tokens_count"),
    ("prompt_tokens", "completion_tokens"),
    ("input_length", "output_length"),
    ("input_len", "output_len"),
    ("input_tokens", "output_tokens"),
)
ARRIVAL_KEYS = ("arrival", "arrival_time", "arrived_at", "timestamp", "start_time")
# With these three the file is Mooncake's, whose times are milliseconds.
_MOONCAKE_KEYS = frozenset({"timestamp", "input_length", "output_length"})


@dataclass(frozen=True, slots=True)
class JsonlLengthsReader:
    """Takes the first pair of length keys and the first arrival key that the first object has."""

    name: str = "jsonl-lengths"
    description: str = "JSON Lines of prompt and output lengths, arrival times where they are given"
    source: str = "https://docs.vllm.ai and https://github.com/vllm-project/guidellm (data sets)"

    def sniff(self, head: str) -> bool:
        """Whether the first object has a known pair of length keys and is not Mooncake's."""
        keys = set(json_keys(head))
        return _mapping(keys) is not None and not keys.issuperset(_MOONCAKE_KEYS)

    def read(self, path: Path) -> Trace:
        """Read a whole file.

        Raises:
            TraceError: A line is unusable, or the first one has no known pair of length keys.
        """
        mapping = _mapping(json_keys(read_head(path)))
        if mapping is None:
            pairs = ", ".join(f"{prompt}/{output}" for prompt, output in LENGTH_KEYS)
            raise TraceError(f"{path} has none of {pairs}; name its keys with --columns")
        parts = json_line_parts(path, mapping.names)
        return trace_from((part.table(mapping.names) for part in parts), mapping)


def _mapping(keys: Collection[str]) -> ColumnMapping | None:
    arrival = next((key for key in ARRIVAL_KEYS if key in keys), "")
    for prompt, output in LENGTH_KEYS:
        if prompt in keys and output in keys:
            return ColumnMapping(prompt=prompt, output=output, arrival=arrival)
    return None


READER = JsonlLengthsReader()
