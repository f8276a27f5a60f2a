"""Reads the log of a real engine: a line a request, under whatever names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scenarios.compare.columns import log_columns
from scenarios.compare.side import UNKNOWN, Side
from traces.load import column_names, read_table
from traces.record import TraceError
from traces.timestamps import instants_ns
from traces.wording import shown

if TYPE_CHECKING:
    from pathlib import Path

    from scenarios.compare.columns import Columns
    from scenarios.compare.side import Ints
    from traces.table import Table


@dataclass(frozen=True, slots=True)
class MeasuredLog:
    """A measured log.

    Attributes:
        side: Its requests; without ids they are numbered from 0 in order of arrival.
        zero_ns: The first arrival on the log's own clock.
        has_ids: Whether the file names request numbers.
    """

    side: Side
    zero_ns: int
    has_ids: bool


def read_measured(path: Path, columns_text: str | None) -> MeasuredLog:
    """Read a measured log; a row without first and last token is a request that got none.

    Args:
        path: CSV or JSON Lines, gzipped or not.
        columns_text: `--columns`, or None to go by well-known names.

    Raises:
        UserError: See `scenarios.compare.columns.log_columns`.
        TraceError: A cell is unusable, times are in no possible order, an id occurs twice; the
            sentence names file and line.
    """
    columns = log_columns(columns_text, column_names(path), str(path))
    names = tuple(dict.fromkeys(column.name for column in columns.values()))
    table = read_table(path, names)
    arrival_ns = instants_ns(table, columns["arrival"].name, columns["arrival"].unit)
    first_ns, last_ns, output = _tokens(table, columns, arrival_ns)
    zero_ns = int(arrival_ns.min())
    side = Side(
        request=_numbers(table, columns, arrival_ns),
        arrival_ns=arrival_ns - zero_ns,
        first_token_ns=np.where(first_ns == UNKNOWN, UNKNOWN, first_ns - zero_ns),
        last_token_ns=np.where(last_ns == UNKNOWN, UNKNOWN, last_ns - zero_ns),
        prompt_tokens=_prompts(table, columns),
        output_tokens=output,
        preemptions=np.full(len(table), UNKNOWN),
    )
    return MeasuredLog(side, zero_ns, "id" in columns)


def _tokens(table: Table, columns: Columns, arrival_ns: Ints) -> tuple[Ints, Ints, Ints]:
    """Times of the first and the last token, and tokens made, of each row."""
    served = _served_rows(table, columns)
    first_ns, last_ns = (np.full(len(table), UNKNOWN) for _ in range(2))
    output = np.zeros(len(table), dtype=np.int64)
    if len(served):
        inside = table.only(served)
        first_ns[served] = _times(inside, columns, "first_token", arrival_ns[served])
        last_ns[served] = _times(inside, columns, "last_token", arrival_ns[served])
        output[served] = inside.tokens(columns["output"].name)
    _refuse_impossible(table, columns, served, np.array((arrival_ns, first_ns, last_ns, output)))
    return first_ns, last_ns, output


def _served_rows(table: Table, columns: Columns) -> Ints:
    """Rows with a first and a last token, int64; a row with one of the two is refused."""
    first, last = (
        np.array([bool(cell) for cell in table.texts(_of(columns, role))], dtype=bool)
        for role in ("first_token", "last_token")
    )
    if (first != last).any():
        row = int(np.argmax(first != last))
        role = "first_token" if last[row] else "last_token"
        name = _of(columns, role)
        raise table.fail(row, f"{name} is missing; fill it in, or leave both token times empty")
    return np.flatnonzero(first).astype(np.int64)


DURATIONS = {"first_token": "ttft", "last_token": "e2e"}


def _of(columns: Columns, role: str) -> str:
    """The column of a token time, given as a stamp or as a duration."""
    return columns[role if role in columns else DURATIONS[role]].name


def _times(table: Table, columns: Columns, role: str, arrival_ns: Ints) -> Ints:
    """Times on the clock of the arrivals."""
    if role in columns:
        return instants_ns(table, columns[role].name, columns[role].unit)
    duration = columns[DURATIONS[role]]
    return arrival_ns + instants_ns(table, duration.name, duration.unit)


def _refuse_impossible(table: Table, columns: Columns, served: Ints, values: Ints) -> None:
    """Tokens come after the request, the last not before the first, and at least one."""
    arrival_ns, first_ns, last_ns, output = values[:, served]
    first, last = (_of(columns, role) for role in ("first_token", "last_token"))
    problems = (
        (first_ns < arrival_ns, f"{first} lies before {columns['arrival'].name}"),
        (last_ns < first_ns, f"{last} lies before {first}"),
        (output < 1, f"{columns['output'].name} is 0, though there is a first token"),
    )
    for is_wrong, problem in problems:
        if is_wrong.any():
            row = int(served[int(np.argmax(is_wrong))])
            raise table.fail(row, f"{problem}; check columns and units, or mend the row")


def _prompts(table: Table, columns: Columns) -> Ints:
    if "prompt" not in columns:
        return np.full(len(table), UNKNOWN)
    return table.tokens(columns["prompt"].name)


def _numbers(table: Table, columns: Columns, arrival_ns: Ints) -> Ints:
    """Request numbers: those of the file, or the order of arrival."""
    if "id" not in columns:
        numbers = np.empty(len(table), dtype=np.int64)
        numbers[np.argsort(arrival_ns, kind="stable")] = np.arange(len(table))
        return numbers
    name = columns["id"].name
    try:
        numbers = table.tokens(name)
    except TraceError as error:
        raise TraceError(
            f"{error}: a run numbers its requests from 0 in order of arrival, so give such"
            " numbers, or leave id out to match by order"
        ) from None
    values, firsts = np.unique(numbers, return_index=True)
    if len(values) < len(numbers):
        row = int(np.setdiff1d(np.arange(len(numbers)), firsts)[0])
        raise table.fail(row, f"{name} {shown(str(numbers[row]))} occurs twice; remove one row")
    return numbers
