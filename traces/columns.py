"""Which column means what, and the one way from tables to a trace."""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import compress
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np

from traces.bounds import MOST_REQUESTS, MOST_TENANTS
from traces.record import DroppedRows, Trace, TraceError
from traces.timestamps import UNIT_DIGITS, ArrivalColumn
from traces.wording import nearest_first, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from traces.record import Int64Array
    from traces.table import Table

    Rows = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """The columns of a request table; an empty name means that the table has none.

    Attributes:
        prompt: Column of prompt tokens.
        output: Column of generated tokens.
        arrival: Column of arrival times.
        tenant: Column of tenant names.
        unit: Unit of numeric arrival times; empty leaves it to the rule in `traces.timestamps`.
    """

    prompt: str = ""
    output: str = ""
    arrival: str = ""
    tenant: str = ""
    unit: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns to read, each once."""
        given = (self.arrival, self.prompt, self.output, self.tenant)
        return tuple(dict.fromkeys(name for name in given if name))


@dataclass(frozen=True, slots=True)
class ZeroRows:
    """Why a format writes zero tokens; such rows are then dropped, otherwise refused.

    Attributes:
        output: What a row without output tokens is.
        prompt: What a row with output tokens and no prompt tokens is.
    """

    output: str
    prompt: str


def parse_columns(text: str) -> ColumnMapping:
    """Read `arrival=COLUMN[:unit],prompt=COLUMN,output=COLUMN,tenant=COLUMN`.

    Raises:
        TraceError: An unknown role, one given twice, or none for prompt and output.
    """
    roles = [entry.name for entry in fields(ColumnMapping) if entry.name != "unit"]
    chosen: dict[str, str] = {}
    for part in text.split(","):
        role, _, column = (side.strip() for side in part.partition("="))
        if role not in roles or role in chosen or not column:
            known = nearest_first(role, roles)
            raise TraceError(
                f"--columns: {shown(part)} is not one of {known}, once each, as role=name"
            )
        chosen[role] = column
    if not {"prompt", "output"} <= chosen.keys():
        raise TraceError("--columns needs prompt=... and output=..., and arrival=... to replay")
    column, unit = _split_unit(chosen.get("arrival", ""))
    return ColumnMapping(**chosen | {"arrival": column, "unit": unit})


def trace_from(
    parts: Iterable[Table], mapping: ColumnMapping, zero_rows: ZeroRows | None = None
) -> Trace:
    """Make a trace of the parts of a table; see `TraceBuilder`.

    Args:
        parts: Hold the columns that the mapping names; at least one.
        mapping: What the columns mean.
        zero_rows: Reasons to drop rows with zero tokens; None refuses them.

    Raises:
        TraceError: A cell is unusable (file and line named), or no row is left.
    """
    builder = TraceBuilder(mapping, zero_rows)
    for part in parts:
        builder.add(part)
    return builder.trace()


class TraceBuilder:
    """A trace from a table, part by part: only what a trace keeps stays in memory.

    Args:
        mapping: What the columns mean.
        zero_rows: Reasons to drop rows with zero tokens; None refuses them.
    """

    def __init__(self, mapping: ColumnMapping, zero_rows: ZeroRows | None = None) -> None:
        self._mapping, self._zero_rows = mapping, zero_rows
        self._times = ArrivalColumn(mapping.arrival, mapping.unit) if mapping.arrival else None
        self._columns: tuple[list[Int64Array], ...] = ([], [], [])
        self._tenants: list[str] = []
        self._known: dict[str, str] = {}
        self._num_rows = np.zeros(3, dtype=np.int64)  # kept, without output, without prompt alone
        self._file = ""

    def add(self, part: Table) -> Int64Array:
        """Check some rows and keep them; the prompt tokens of those that were kept.

        Raises:
            TraceError: A cell is unusable (file and line named), or there are too many rows.
        """
        self._file = part.file
        prompt, output = part.tokens(self._mapping.prompt), part.tokens(self._mapping.output)
        arrival = np.zeros(0, np.int64) if self._times is None else self._times.ns(part)
        keep = self._kept(part, prompt == 0, output == 0)
        if self._num_rows[0] > MOST_REQUESTS:
            raise TraceError(f"{part.file} holds more than {MOST_REQUESTS:,} requests; cut it")
        for column, values in zip(self._columns, (prompt, output, arrival), strict=True):
            column.append(values[keep] if len(values) else values)
        if self._mapping.tenant:
            self._tenants += self._names(part, keep)
        return self._columns[0][-1]

    def trace(self) -> Trace:
        """What was added, arrivals counted from the first kept request.

        Raises:
            TraceError: No row was kept.
        """
        if not self._num_rows[0]:
            raise TraceError(f"{self._file} holds no usable request: every row has zero tokens")
        prompt, output, arrival = map(_joined, self._columns)
        return Trace(
            name=PurePath(self._file).name,
            prompt_tokens=prompt,
            output_tokens=output,
            arrival_ns=None if self._times is None else arrival - arrival[0],
            tenants=tuple(self._tenants),
            dropped=self._dropped(),
        )

    def _kept(self, part: Table, no_prompt: Rows, no_output: Rows) -> Rows:
        keep = ~(no_prompt | no_output)
        if self._zero_rows is None and not keep.all():
            row = int(np.argmin(keep))
            name = self._mapping.prompt if no_prompt[row] else self._mapping.output
            raise part.fail(row, f"{name} is 0; every request needs at least 1, so remove the row")
        self._num_rows += [keep.sum(), no_output.sum(), (no_prompt & ~no_output).sum()]
        return keep

    def _names(self, part: Table, keep: Rows) -> Iterator[str]:
        """Tenants of the kept rows; equal names are one object."""
        names = part.texts(self._mapping.tenant)
        for name in compress(names, keep):
            yield self._known.setdefault(name, name)
        if len(self._known) > MOST_TENANTS:
            raise TraceError(
                f"{part.file}: {self._mapping.tenant} has more than {MOST_TENANTS:,} names;"
                " that is no column of tenants"
            )

    def _dropped(self) -> tuple[DroppedRows, ...]:
        if self._zero_rows is None:
            return ()
        reasons = (self._zero_rows.output, self._zero_rows.prompt)
        counts = zip(reasons, self._num_rows[1:].tolist(), strict=True)
        return tuple(DroppedRows(why, rows) for why, rows in counts if rows)


def _joined(parts: list[Int64Array]) -> Int64Array:
    """One column of its parts, which are not needed any more."""
    joined = np.concatenate(parts)
    parts.clear()
    return joined


def _split_unit(column: str) -> tuple[str, str]:
    """Part a unit from a name; a colon before anything else belongs to the name."""
    name, _, unit = column.rpartition(":")
    return (name, unit) if name and unit in UNIT_DIGITS else (column, "")
