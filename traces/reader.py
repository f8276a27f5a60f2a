"""What a trace format is to the rest, and the reader that most CSV formats are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from traces.columns import ColumnMapping, ZeroRows, trace_from
from traces.csv_table import csv_columns, csv_parts

if TYPE_CHECKING:
    from pathlib import Path

    from traces.record import Trace


class TraceReader(Protocol):
    """One file format; a module in `traces/readers` offers one as `READER`.

    Attributes:
        name: The format's name at `--format`.
        description: One line on what the files hold.
        source: Where the format is documented.
    """

    @property
    def name(self) -> str:
        """The format's name at `--format`."""

    @property
    def description(self) -> str:
        """One line on what the files hold."""

    @property
    def source(self) -> str:
        """Where the format is documented."""

    def sniff(self, head: str) -> bool:
        """Whether a file that starts with this text is of this format."""

    def read(self, path: Path) -> Trace:
        """Read a whole file.

        Raises:
            TraceError: The file cannot be used; the sentence names the line.
        """


@runtime_checkable
class ArchiveReader(TraceReader, Protocol):
    """A format of several files in a tar archive, compressed with gzip or not."""

    def sniff_member(self, name: str) -> bool:
        """Whether an archive that holds a file of this name is of this format."""


@dataclass(frozen=True, slots=True)
class CsvReader:
    """A CSV format that column names tell from every other.

    Attributes:
        name: The format's name at `--format`.
        description: One line on what the files hold.
        source: Where the format is documented.
        columns: What the columns mean.
        lacks: Columns that a file of this format never has; they mark a neighbour's.
        zero_rows: Why rows with zero tokens occur, where the format documents them.
    """

    name: str
    description: str
    source: str
    columns: ColumnMapping
    lacks: frozenset[str] = frozenset()
    zero_rows: ZeroRows | None = None

    def sniff(self, head: str) -> bool:
        """Whether the header has every column of the format and none of a neighbour's."""
        names = set(csv_columns(head))
        return names.issuperset(self.columns.names) and names.isdisjoint(self.lacks)

    def read(self, path: Path) -> Trace:
        """Read a whole file; see `traces.columns.trace_from`."""
        return trace_from(csv_parts(path, self.columns.names), self.columns, self.zero_rows)
