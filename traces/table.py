"""Cells as text, column by column, and the one way from them to checked int64 columns."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from traces.record import TraceError
from traces.wording import listed, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from traces.record import Int64Array

# Above any context there is, and low enough that sums over a trace stay inside int64.
MAX_TOKENS = 2**31 - 1
MOST_TABLE_ROWS = 1 << 22
"""Of a table that is kept whole, as text."""
# 18 digits always fit into int64; a trailing ".0" is what spreadsheets make of whole numbers.
_WHOLE_NUMBER = r"^0*[0-9]{1,18}(\.0*)?$"


@dataclass(frozen=True, slots=True)
class Table:
    """The wanted columns of a trace file, every cell still text.

    Attributes:
        file: The file, for messages.
        cells: Column name to an Arrow string column; all of one length.
        line_of_row: From a row (from 0) to its line in the file (from 1), asked only on failure.
    """

    file: str
    cells: Mapping[str, Any]
    line_of_row: Callable[[int], int]

    def __len__(self) -> int:
        return len(next(iter(self.cells.values())))

    def fail(self, row: int, problem: str) -> TraceError:
        """The error that names the file and the line of a row; the caller raises it."""
        return TraceError(f"{self.file}, line {self.line_of_row(row)}: {problem}")

    def only(self, rows: Int64Array) -> Table:
        """Some of the rows, which keep their lines; int64, shape (kept,)."""
        cells = {name: column.take(pa.array(rows)) for name, column in self.cells.items()}
        return Table(self.file, cells, lambda row: self.line_of_row(int(rows[row])))

    def column(self, name: str) -> Any:  # noqa: ANN401 - Arrow carries no types
        """A column's cells without the blanks around them, as Arrow strings."""
        return pc.utf8_trim_whitespace(self.cells[name])

    def texts(self, name: str) -> tuple[str, ...]:
        """A column's cells as Python texts."""
        return tuple(self.column(name).to_pylist())

    def tokens(self, name: str) -> Int64Array:
        """A column of token counts from 0 to 2**31 - 1, int64, shape (rows,).

        Raises:
            TraceError: A cell is missing, negative, no whole number or too large.
        """
        cells = self.column(name)
        self.require(cells, _WHOLE_NUMBER, lambda cell: _token_problem(name, cell))
        counts = to_int64(pc.replace_substring_regex(cells, r"\.0*$", ""))
        if len(counts) and counts.max() > MAX_TOKENS:
            row = int(np.argmax(counts > MAX_TOKENS))
            raise self.fail(row, f"{name} is {counts[row]}, more tokens than any request has")
        return counts

    def require(self, cells: Any, pattern: str, problem: Callable[[str], str]) -> None:  # noqa: ANN401
        """Raise TraceError for the first cell that does not match a pattern."""
        matches = np.asarray(pc.match_substring_regex(cells, pattern), dtype=bool)
        if not matches.all():
            row = int(np.argmin(matches))
            raise self.fail(row, problem(cells[row].as_py()))


def joined(parts: Iterable[Table]) -> Table:
    """One table of its parts; at least one.

    Raises:
        TraceError: They hold more than `MOST_TABLE_ROWS` rows, or a part cannot be read.
    """
    kept, before = [], [0]
    for part in parts:
        kept.append(part)
        before.append(before[-1] + len(part))
        if before[-1] > MOST_TABLE_ROWS:
            raise TraceError(f"{part.file} holds more than {MOST_TABLE_ROWS:,} rows; give a part")

    def line_of_row(row: int) -> int:
        place = bisect_right(before, row) - 1
        return kept[place].line_of_row(row - before[place])

    cells = {name: pa.chunked_array([part.cells[name] for part in kept]) for name in kept[0].cells}
    return Table(kept[0].file, cells, line_of_row)


def to_int64(cells: Any) -> Int64Array:  # noqa: ANN401 - Arrow carries no types
    """Arrow strings of digits as int64, shape (rows,)."""
    return np.asarray(pc.cast(cells, "int64"), dtype=np.int64)


def require_columns(file: str, wanted: Sequence[str], found: Sequence[str]) -> None:
    """Raise TraceError where a file lacks a column, naming those it has."""
    missing = [name for name in wanted if name not in found]
    if missing:
        raise TraceError(
            f"{file} has no column {listed(missing)}; it has {listed(found)}: "
            "name the right ones with --columns arrival=...,prompt=...,output=..."
        )


def _token_problem(name: str, cell: str) -> str:
    if not cell:
        return f"{name} is missing; fill it in or remove the row"
    if cell.startswith("-"):
        return f"{name} is {shown(cell)}; a token count cannot be negative"
    if cell.isdecimal():
        return f"{name} is {shown(cell)}, more tokens than any request has"
    return f"{name} is {shown(cell)}, not a whole number of tokens"
