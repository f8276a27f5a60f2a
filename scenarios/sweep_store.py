"""A sweep on disk: rows as they come, and the table made of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from scenarios.errors import CannotWriteError, UserError
from scenarios.whole_file import appearing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from scenarios.sweep_task import Row

RESULTS = "results.parquet"


class Ledger:
    """Rows by their digest, each a line of a file as soon as it is known.

    A kill leaves at most one line unfinished; it is cut off when the file is opened again, so its
    cell is run again and no other.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rows: dict[str, Row] = {}
        if path.exists():
            self._read()

    def append(self, rows: Iterable[Row]) -> None:
        """Record rows.

        Raises:
            CannotWriteError: The disk is full; a row that was cut short is run again.
        """
        lines = []
        for row in rows:
            self.rows[row["digest"]] = row
            lines.append(json.dumps(row) + "\n")
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write("".join(lines))
        except OSError as error:
            raise CannotWriteError.of(self._path, error) from error

    def _read(self) -> None:
        content = self._path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                row = json.loads(line)
                self.rows[row["digest"]] = row
            except (ValueError, KeyError, TypeError, RecursionError):
                raise UserError(
                    f"{self._path}:{number} is no row of a sweep: delete the file or the line"
                ) from None
        if len(whole) < len(content):
            with self._path.open("r+b") as file:
                file.truncate(len(whole))


def write_results(path: Path, rows: list[Row]) -> None:
    """Write a table; the file appears whole or not at all. A figure that a row lacks is null."""
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: pa.array([row.get(name) for row in rows]) for name in names}
    if "error" in columns:
        columns["error"] = columns["error"].cast(pa.string())
    with appearing(path) as partial:
        pq.write_table(pa.table(columns), partial)


def read_results(path: Path) -> list[Row]:
    """The rows of a table.

    Raises:
        UserError: If it cannot be read.
    """
    try:
        rows: list[Row] = pq.read_table(path).to_pylist()
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path} cannot be read as results of a sweep: {reason}") from None
    return rows
