"""CSV files (comma, semicolon or tab) become tables, a part of the file at a time."""

from __future__ import annotations

import csv
import io
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv as arrow_csv

from traces.bounds import MOST_HEADER_BYTES, MOST_LINE_BYTES
from traces.content import PIECE_BYTES, pieces
from traces.record import TraceError
from traces.table import Table, require_columns
from traces.wording import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

DELIMITERS = ",;\t"
_LINE_END = re.compile(r"\r\n|\r|\n")
_LINE_END_BYTES = re.compile(_LINE_END.pattern.encode())
BLOCK_BYTES = 1 << 24
"""Rows longer than that cannot be read; logs with whole prompts in a cell stay far below."""

csv.field_size_limit(MOST_LINE_BYTES)  # Python's own is shorter than what Arrow reads


def csv_columns(head: str) -> list[str]:
    """The column names in the first line that holds anything, in order; none if it is no CSV."""
    line = _first_line(head)
    try:
        cells = next(csv.reader([line], delimiter=_delimiter(line)), [])
    except csv.Error:
        return []
    return [cell.strip() for cell in cells]


def csv_parts(path: Path, wanted: Sequence[str]) -> Iterator[Table]:
    """Read the wanted columns of a CSV file, some rows at a time; none is empty.

    Raises:
        TraceError: The file or its text is unusable, a column is missing or named twice, a row has
            too many or too few cells, or there is no row.
    """
    body = _Body(path)
    body.read_header()
    names = csv_columns(body.header)
    _refuse_doubles(path, names)
    require_columns(str(path), wanted, names)
    if not body.has_rows():
        raise TraceError(f"{path} holds a header and no rows; give a file with requests")
    delimiter, before = _delimiter(body.header), 0
    try:
        for batch in _batches(body, names, wanted, delimiter):
            if batch.num_rows:
                yield _part(path, batch, before, delimiter)
            before += batch.num_rows
    except pa.ArrowException as error:
        raise _unreadable(path, delimiter, str(error)) from None


class _Body(io.RawIOBase):
    """A file's text that is read once, from front to back; the header may be read apart.

    Attributes:
        header: The first line that holds anything, once it is read.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path, self._pieces = path, pieces(path)
        self._rest = b""
        self.header = ""

    def read_header(self) -> None:
        """Read the header; the stream goes on behind it."""
        while _LINE_END_BYTES.search(self._rest.lstrip(b"\r\n")) is None and self._fetch():
            if len(self._rest) > MOST_HEADER_BYTES + PIECE_BYTES:
                problem = f"the first line is longer than {MOST_HEADER_BYTES >> 20} MiB"
                raise TraceError(f"{self._path}: {problem}; it must name the columns")
        text = self._rest.lstrip(b"\r\n")
        header = _LINE_END_BYTES.split(text, maxsplit=1)[0]
        self._rest = text[len(header) :]
        self.header = header.decode()

    def has_rows(self) -> bool:
        """Whether anything but blanks is left; empty lines before it are passed over."""
        while not self._rest.strip():
            self._rest = b""
            if not self._fetch():
                return False
        self._rest = self._rest.lstrip(b"\r\n")
        return True

    def readable(self) -> bool:
        """See `io.IOBase`."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any buffer of bytes
        """See `io.RawIOBase`."""
        if not self._rest:
            self._fetch()
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size

    def _fetch(self) -> bool:
        piece = next(self._pieces, b"")
        self._rest += piece
        return bool(piece)


def _batches(body: _Body, names: list[str], wanted: Sequence[str], delimiter: str) -> Iterator[Any]:
    """Let Arrow split the rows but guess no types: text keeps every digit of a time."""
    yield from arrow_csv.open_csv(
        pa.PythonFile(body, "r"),
        arrow_csv.ReadOptions(column_names=names, block_size=BLOCK_BYTES),
        arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        arrow_csv.ConvertOptions(
            include_columns=list(wanted),
            column_types=dict.fromkeys(wanted, pa.string()),
            strings_can_be_null=False,
        ),
    )


def _part(path: Path, batch: Any, before: int, delimiter: str) -> Table:  # noqa: ANN401 - Arrow's
    """A batch as a table that knows how many rows there were before it."""
    cells = {name: batch.column(name) for name in batch.schema.names}
    return Table(str(path), cells, lambda row: _line_of_row(path, before + row, delimiter))


def _first_line(head: str) -> str:
    return _LINE_END.split(head.lstrip("\r\n"), maxsplit=1)[0]


def _delimiter(header: str) -> str:
    """The delimiter that a header holds most of; the comma where it holds none."""
    return max(DELIMITERS, key=header.count)


def _refuse_doubles(path: Path, names: list[str]) -> None:
    doubles = sorted({name for name in names if name and names.count(name) > 1})
    if doubles:
        raise TraceError(f"{path} names column {shown(doubles[0])} twice; rename one of them")


def _rows_with_lines(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Every row that holds anything with the line it ends on, header included; read anew."""
    text = io.TextIOWrapper(io.BufferedReader(_Body(path)), "utf-8", newline="")
    reader = csv.reader(text, delimiter=delimiter)
    for row in reader:
        if row:
            yield reader.line_num, row


def _line_of_row(path: Path, row: int, delimiter: str) -> int:
    """The line of a row, counted from 0 below the header; the last that Python can read."""
    line = 0
    with suppress(csv.Error):
        for index, (number, _) in enumerate(_rows_with_lines(path, delimiter), start=-1):
            line = number
            if index == row:
                break
    return line


def _unreadable(path: Path, delimiter: str, reason: str) -> TraceError:
    """Say which row is ragged, or pass on Arrow's reason where none is."""
    try:
        rows = _rows_with_lines(path, delimiter)
        expected = len(next(rows)[1])
        for line, row in rows:
            if len(row) != expected:
                return TraceError(
                    f"{path}, line {line}: {len(row)} cells under a header of {expected}; "
                    "mend or remove the row"
                )
    except csv.Error as error:
        reason = str(error)
    return TraceError(f"{path} cannot be read as CSV: {' '.join(reason.split())[:200]}")
