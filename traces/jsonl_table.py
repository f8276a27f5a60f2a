"""JSON Lines files become objects with their lines, and tables."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa  # type: ignore[import-untyped]

from traces.content import read_bytes
from traces.record import TraceError
from traces.table import Table, require_columns

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# Decimals stay text, so that no timestamp passes through a float; NaN becomes a text that no
# column accepts.
_DECODER = json.JSONDecoder(parse_float=str, parse_constant=str)


@dataclass(frozen=True, slots=True)
class JsonLines:
    """The objects of a JSON Lines file.

    Attributes:
        file: The file, for messages.
        objects: One object a line that holds anything.
        lines: The line of each object in the file, from 1.
    """

    file: str
    objects: list[dict[str, Any]]
    lines: list[int]

    def table(self, wanted: Sequence[str]) -> Table:
        """The wanted keys as columns of text.

        Raises:
            TraceError: The first object lacks a key (a later one reads as an empty cell), or a text
                is no valid Unicode.
        """
        require_columns(self.file, wanted, list(self.objects[0]))
        cells = {name: self._column(name) for name in wanted}
        return Table(self.file, cells, lambda row: self.lines[row])

    def _column(self, name: str) -> pa.Array:
        texts = [_cell_text(entry.get(name)) for entry in self.objects]
        try:
            return pa.array(texts, pa.string())
        except UnicodeEncodeError:
            row = next(row for row, text in enumerate(texts) if not _is_unicode(text))
            line = self.lines[row]
            raise TraceError(f"{self.file}, line {line}: {name} is no valid Unicode") from None


def json_keys(head: str) -> list[str]:
    """The keys of the object on the first line that holds anything; none if there is none."""
    line = next(iter(head.lstrip().split("\n")), "")
    try:
        first = _DECODER.decode(line)
    except (ValueError, RecursionError):
        return []
    return list(first) if isinstance(first, dict) else []


def read_json_lines(path: Path) -> JsonLines:
    """Read one JSON object a line; blank lines are passed over.

    Raises:
        TraceError: The file or its text is unusable, or a line is no JSON object.
    """
    objects: list[dict[str, Any]] = []
    lines: list[int] = []
    for number, line in enumerate(read_bytes(path).decode().split("\n"), start=1):
        if line and not line.isspace():
            objects.append(_decode(str(path), number, line))
            lines.append(number)
    return JsonLines(str(path), objects, lines)


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
