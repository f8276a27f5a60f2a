"""JSON Lines files become objects with their lines, and tables."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from traces.content import lines
from traces.record import TraceError
from traces.table import Table, require_columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

# Decimals stay text, so that no timestamp passes through a float; NaN becomes a text that no
# column accepts.
_DECODER = json.JSONDecoder(parse_float=str, parse_constant=str)

PART_LINES = 1 << 14
"""Objects that are in memory at once."""


@dataclass(frozen=True, slots=True)
class JsonLines:
    """The values of some keys, object by object.

    Attributes:
        file: The file, for messages.
        values: Key to one value an object; None where it has none, lists as tuples.
        lines: The line of each object in the file, from 1.
    """

    file: str
    values: dict[str, list[Any]]
    lines: list[int]

    def table(self, wanted: Sequence[str]) -> Table:
        """The wanted keys as columns of text; a value that is missing reads as an empty cell.

        Raises:
            TraceError: A text is no valid Unicode.
        """
        cells = {name: self._column(name) for name in wanted}
        return Table(self.file, cells, lambda row: self.lines[row])

    def fail(self, row: int, problem: str) -> TraceError:
        """The error that names the file and the line of an object; the caller raises it."""
        return TraceError(f"{self.file}, line {self.lines[row]}: {problem}")

    def _column(self, name: str) -> pa.Array:
        texts = [_cell_text(value) for value in self.values[name]]
        try:
            return pa.array(texts, pa.string())
        except UnicodeEncodeError:
            row = next(row for row, text in enumerate(texts) if not _is_unicode(text))
            raise self.fail(row, f"{name} is no valid Unicode") from None


def json_keys(head: str) -> list[str]:
    """The keys of the object on the first line that holds anything; none if there is none."""
    line = next(iter(head.lstrip().split("\n")), "")
    try:
        first = _DECODER.decode(line)
    except (ValueError, RecursionError):
        return []
    return list(first) if isinstance(first, dict) else []


def json_line_parts(
    path: Path, wanted: Sequence[str], extra: Sequence[str] = ()
) -> Iterator[JsonLines]:
    """Read one JSON object a line, some lines at a time; blank lines are passed over.

    Args:
        path: The file.
        wanted: Keys that the first object must have.
        extra: Keys to read besides, where they are.

    Raises:
        TraceError: The file or its text is unusable, the first object lacks a key, or a line is no
            JSON object.
    """
    entries = ((number, _decode(str(path), number, line)) for number, line in lines(path))
    is_first = True
    while part := list(islice(entries, PART_LINES)):
        if is_first:
            require_columns(str(path), wanted, list(part[0][1]))
        is_first = False
        yield _part(str(path), part, (*wanted, *extra))


def _part(
    file: str, entries: Sequence[tuple[int, dict[str, Any]]], names: Sequence[str]
) -> JsonLines:
    values: dict[str, list[Any]] = {name: [] for name in names}
    for _, entry in entries:
        for name, column in values.items():
            value = entry.get(name)
            # A tuple of numbers costs the garbage collector nothing; millions of lists do.
            column.append(tuple(value) if isinstance(value, list) else value)
    return JsonLines(file, values, [number for number, _ in entries])


def _decode(file: str, number: int, line: str) -> dict[str, Any]:
    try:
        entry = _DECODER.decode(line)
    except (ValueError, RecursionError):
        raise TraceError(f"{file}, line {number}: malformed JSON; mend or remove it") from None
    if not isinstance(entry, dict):
        raise TraceError(f"{file}, line {number}: no JSON object; each line must be {{...}}")
    return entry


def _cell_text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else str(value)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
