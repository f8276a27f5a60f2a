"""CSV files (comma, semicolon or tab) become tables."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv as arrow_csv

from traces.content import read_bytes
from traces.record import TraceError
from traces.table import Table, require_columns
from traces.wording import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

DELIMITERS = ",;\t"
# Rows longer than a block cannot be read; logs with whole prompts in a cell stay far below this.
BLOCK_BYTES = 1 << 26
_LINE_END = re.compile(r"\r\n|\r|\n")


def csv_columns(head: str) -> list[str]:
    """The column names in the first line that holds anything, in order; none if it is no CSV."""
    line = _first_line(head)
    try:
        cells = next(csv.reader([line], delimiter=_delimiter(line)), [])
    except csv.Error:
        return []
    return [cell.strip() for cell in cells]


def read_csv_table(path: Path, wanted: Sequence[str]) -> Table:
    """Read the wanted columns of a CSV file.

    Raises:
        TraceError: The file or its text is unusable, a column is missing or named twice, a row has
            too many or too few cells, or there is no row.
    """
    text = read_bytes(path)
    header = _first_line(text.lstrip(b"\r\n").splitlines()[0].decode())
    names = csv_columns(header)
    _refuse_doubles(path, names)
    require_columns(str(path), wanted, names)
    body = text.lstrip(b"\r\n")[len(header.encode()) :]
    if not body.strip():
        raise TraceError(f"{path} holds a header and no rows; give a file with requests")
    try:
        cells = _cells(body.lstrip(b"\r\n"), names, wanted, _delimiter(header))
    except pa.ArrowException as error:
        raise _unreadable(path, text, _delimiter(header), str(error)) from None
    return Table(str(path), cells, lambda row: _line_of_row(text, row, _delimiter(header)))


def _cells(
    body: bytes, names: list[str], wanted: Sequence[str], delimiter: str
) -> dict[str, pa.ChunkedArray]:
    """Let Arrow split the rows but guess no types: text keeps every digit of a time."""
    table = arrow_csv.read_csv(
        io.BytesIO(body),
        arrow_csv.ReadOptions(column_names=names, block_size=BLOCK_BYTES),
        arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        arrow_csv.ConvertOptions(
            include_columns=list(wanted),
            column_types=dict.fromkeys(wanted, pa.string()),
            strings_can_be_null=False,
        ),
    )
    return {name: table.column(name) for name in wanted}


def _first_line(head: str) -> str:
    return _LINE_END.split(head.lstrip("\r\n"), maxsplit=1)[0]


def _delimiter(header: str) -> str:
    """The delimiter that a header holds most of; the comma where it holds none."""
    return max(DELIMITERS, key=header.count)


def _refuse_doubles(path: Path, names: list[str]) -> None:
    doubles = sorted({name for name in names if name and names.count(name) > 1})
    if doubles:
        raise TraceError(f"{path} names column {shown(doubles[0])} twice; rename one of them")


def _rows_with_lines(text: bytes, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Every row that holds anything with the line it ends on, header included."""
    reader = csv.reader(io.StringIO(text.decode(), newline=""), delimiter=delimiter)
    for row in reader:
        if row:
            yield reader.line_num, row


def _line_of_row(text: bytes, row: int, delimiter: str) -> int:
    rows = _rows_with_lines(text, delimiter)
    next(rows)
    return next(line for index, (line, _) in enumerate(rows) if index == row)


def _unreadable(path: Path, text: bytes, delimiter: str, reason: str) -> TraceError:
    """Say which row is ragged, or pass on Arrow's reason where none is."""
    try:
        rows = _rows_with_lines(text, delimiter)
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
