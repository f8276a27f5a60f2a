"""Which column means what, and the one way from a table to a trace."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np

from traces.record import DroppedRows, Trace, TraceError
from traces.timestamps import UNIT_DIGITS, arrival_ns
from traces.wording import nearest_first, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from traces.record import Int64Array
    from traces.table import Table


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


def trace_from(table: Table, mapping: ColumnMapping, zero_rows: ZeroRows | None = None) -> Trace:
    """Make a trace of a table: tokens checked, arrivals counted from the first kept request.

    Args:
        table: Holds the columns that the mapping names.
        mapping: What the columns mean.
        zero_rows: Reasons to drop rows with zero tokens; None refuses them.

    Raises:
        TraceError: A cell is unusable (file and line named), or no row is left.
    """
    prompt, output = table.tokens(mapping.prompt), table.tokens(mapping.output)
    arrival = arrival_ns(table, mapping.arrival, mapping.unit) if mapping.arrival else None
    keep, dropped = _kept(table, mapping, (prompt, output), zero_rows)
    tenants = table.texts(mapping.tenant) if mapping.tenant else ()
    return Trace(
        name=PurePath(table.file).name,
        prompt_tokens=prompt[keep],
        output_tokens=output[keep],
        arrival_ns=None if arrival is None else arrival[keep] - arrival[keep][0],
        tenants=tuple(tenant for tenant, kept in zip(tenants, keep, strict=False) if kept),
        dropped=dropped,
    )


def _split_unit(column: str) -> tuple[str, str]:
    """Part a unit from a name; a colon before anything else belongs to the name."""
    name, _, unit = column.rpartition(":")
    return (name, unit) if name and unit in UNIT_DIGITS else (column, "")


def _kept(
    table: Table,
    mapping: ColumnMapping,
    tokens: tuple[Int64Array, Int64Array],
    zero_rows: ZeroRows | None,
) -> tuple[NDArray[np.bool_], tuple[DroppedRows, ...]]:
    no_prompt, no_output = tokens[0] == 0, tokens[1] == 0
    keep = ~(no_prompt | no_output)
    if zero_rows is None and not keep.all():
        row = int(np.argmin(keep))
        name = mapping.prompt if no_prompt[row] else mapping.output
        raise table.fail(row, f"{name} is 0; every request needs at least 1, so remove the row")
    if not keep.any():
        raise TraceError(f"{table.file} holds no usable request: every row has zero tokens")
    if zero_rows is None:
        return keep, ()
    counts = ((zero_rows.output, no_output), (zero_rows.prompt, no_prompt & ~no_output))
    return keep, tuple(DroppedRows(why, int(rows.sum())) for why, rows in counts if rows.any())
