"""Arrival times as written become exact integer nanoseconds after the first one.

The rule for a column of times:

1. `YYYY-MM-DD[ T]HH:MM[:SS[.fraction]]` with or without a zone is ISO 8601, up to nine digits.
2. A number has the unit that the user wrote behind the column's name (`arrival=ts:ms`); else the
   unit that ends the name (`..._ms`, `...ms`, `_us`, `_ns`, `_s` or the word written out); else,
   by the size of the first number, epoch nanoseconds (from 1e17), microseconds (from 1e14) or
   milliseconds (from 1e11); else seconds.

Digits are read as digits: no value passes through a float. Below a nanosecond it rounds half up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from traces.table import to_int64
from traces.wording import shown

if TYPE_CHECKING:
    from traces.record import Int64Array
    from traces.table import Table

# Digits between a unit and the nanosecond.
UNIT_DIGITS = {"s": 9, "ms": 6, "us": 3, "ns": 0}
# 146 years: leaves int64 room for the time that a simulation adds behind the last arrival.
MAX_ARRIVAL_NS = 2**62
_EPOCH_FROM = (("ns", 10**17), ("us", 10**14), ("ms", 10**11))
_NAME_UNITS = (
    ("ms", re.compile(r"(ms|msecs?|millis|milliseconds?)$")),
    ("us", re.compile(r"([^a-z]us|usecs?|micros|microseconds?)$")),
    ("ns", re.compile(r"([^a-z]ns|nsecs?|nanos|nanoseconds?)$")),
    ("s", re.compile(r"([^a-z]s|secs?|seconds?)$")),
)
_NUMBER = r"^[0-9]{1,18}(\.[0-9]*)?$|^[0-8][0-9]{18}(\.[0-9]*)?$"
_SCIENTIFIC = re.compile(r"[0-9]+(\.[0-9]*)?[eE][+-]?[0-9]{1,2}")
_ISO = re.compile(r"\d{4}-\d\d-\d\d")
_ZONE = re.compile(r":\d\d(\.\d+)?(Z|[+-]\d\d(:?\d\d)?)$")


class ArrivalColumn:
    """A column of times as nanoseconds after its first, part by part; they never fall.

    Args:
        name: The column that holds the times.
        unit: "s", "ms", "us" or "ns" where it is known; else the rule of this module decides.
    """

    def __init__(self, name: str, unit: str = "") -> None:
        self._name, self._unit = name, unit
        self._scale: _Scale | None = None
        self._first, self._zero_ns = 0, 0
        self._last, self._last_ns = 0, 0

    def ns(self, table: Table) -> Int64Array:
        """The times of the next rows, int64, shape (rows,).

        Raises:
            TraceError: A cell is no time, a time lies before the one above it, or the times span
                more than 146 years.
        """
        cells = table.column(self._name)
        is_new = self._scale is None
        scale = self._scale or _scale_of(table, self._name, cells, self._unit)
        whole, fraction_ns = scale.read(table, self._name, cells)
        if is_new:
            self._scale, self._first, self._last = scale, int(whole[0]), int(whole[0])
        self._refuse_falling(table, whole, self._last)
        self._refuse_late(table, whole, MAX_ARRIVAL_NS // 10**scale.digits)
        times: Int64Array = (whole - self._first) * 10**scale.digits + fraction_ns
        if is_new:
            self._zero_ns, self._last_ns = int(times[0]), int(times[0])
        self._refuse_falling(table, times, self._last_ns)
        self._last, self._last_ns = int(whole[-1]), int(times[-1])
        return times - self._zero_ns

    def _refuse_falling(self, table: Table, times: Int64Array, before: int) -> None:
        falls = times < np.concatenate(([before], times[:-1]))
        if falls.any():
            row, name = int(np.argmax(falls)), self._name
            raise table.fail(row, f"{name} lies before the row above; sort the file by {name}")

    def _refuse_late(self, table: Table, whole: Int64Array, most: int) -> None:
        if int(whole[-1]) - self._first > most:
            row, name = int(np.argmax(whole > self._first + most)), self._name
            problem = "lies over 146 years after the first; give its unit as"
            raise table.fail(row, f"{name} {problem} arrival={name}:ns")


def instants_ns(table: Table, name: str, unit: str = "") -> Int64Array:
    """A column of times in any order as nanoseconds on their own clock, int64, shape (rows,).

    For logs that hold several times a request: all columns of one clock share its zero. Durations
    are read the same way.

    Args:
        table: The cells; at least one row.
        name: The column that holds the times.
        unit: As in `ArrivalColumn`.

    Raises:
        TraceError: A cell is no time, or lies over 146 years from the zero of its clock.
    """
    cells = table.column(name)
    scale = _scale_of(table, name, cells, unit)
    whole, fraction_ns = scale.read(table, name, cells)
    far = np.abs(whole) > MAX_ARRIVAL_NS // 10**scale.digits
    if far.any():
        row = int(np.argmax(far))
        given = cells[row].as_py()
        raise table.fail(row, f"{name} is {given}, over 146 years; give its unit, as {name}:ns")
    nanoseconds: Int64Array = whole * 10**scale.digits + fraction_ns
    return nanoseconds


@dataclass(frozen=True, slots=True)
class _Scale:
    """How a column writes times.

    Attributes:
        digits: Between its unit and the nanosecond.
        is_iso: Whether they are ISO 8601.
        zone: Of these; None if they have none.
    """

    digits: int
    is_iso: bool = False
    zone: str | None = None

    def read(self, table: Table, name: str, cells: Any) -> tuple[Int64Array, Int64Array | int]:  # noqa: ANN401
        """Cells in whole units, and the nanoseconds that lie beyond each."""
        if self.is_iso:
            return _iso_ns(table, name, cells, self.zone), 0
        plain = _without_exponents(cells)
        table.require(plain, _NUMBER, lambda cell: _time_problem(name, cell))
        whole = to_int64(pc.replace_substring_regex(plain, r"\..*$", ""))
        return whole, _fraction_ns(plain, self.digits)


def _scale_of(table: Table, name: str, cells: Any, unit: str) -> _Scale:  # noqa: ANN401
    """What the first cell, the name and the user say; TraceError if that cell is no time."""
    first = cells[0].as_py()
    if _ISO.match(first) and not unit:
        return _Scale(0, is_iso=True, zone="UTC" if _ZONE.search(first) else None)
    plain = _without_exponents(cells.slice(0, 1))
    table.require(plain, _NUMBER, lambda cell: _time_problem(name, cell))
    return _Scale(UNIT_DIGITS[unit or _unit(name, plain[0].as_py())])


def _unit(name: str, first: str) -> str:
    plain_name = name.lower().rstrip(" )]")
    for unit, pattern in _NAME_UNITS:
        if pattern.search(plain_name):
            return unit
    whole = int(first.partition(".")[0])
    return next((unit for unit, least in _EPOCH_FROM if whole >= least), "s")


def _without_exponents(cells: Any) -> Any:  # noqa: ANN401 - Arrow carries no types
    """Write 1e-05 as 0.00001: scripts that print floats leave such cells behind."""
    if not pc.any(pc.match_substring_regex(cells, "[eE]")).as_py():
        return cells
    return pa.array(
        [
            format(Decimal(cell), "f") if _SCIENTIFIC.fullmatch(cell) else cell
            for cell in cells.to_pylist()
        ],
        pa.string(),
    )


def _fraction_ns(cells: Any, digits: int) -> Int64Array:  # noqa: ANN401
    """What stands behind the decimal points, in nanoseconds, by one digit more than is kept."""
    fractions = pc.replace_substring_regex(cells, r"^[0-9]*\.?", "")
    padded = pc.utf8_rpad(fractions, digits + 1, "0")
    return (to_int64(pc.utf8_slice_codeunits(padded, 0, digits + 1)) + 5) // 10


def _iso_ns(table: Table, name: str, cells: Any, zone: str | None) -> Int64Array:  # noqa: ANN401
    """Times with a zone become UTC; times without one are taken as they stand."""
    kind = pa.timestamp("ns", zone)
    try:
        return np.asarray(pc.cast(pc.cast(cells, kind), "int64"), dtype=np.int64)
    except pa.ArrowInvalid:
        row = _first_failing_row(cells, kind)
    cell = cells[row].as_py()
    if _ISO.match(cell) and bool(_ZONE.search(cell)) != bool(zone):
        raise table.fail(row, f"{name} mixes times with and without a zone; write all one way")
    raise table.fail(row, _time_problem(name, cell))


def _first_failing_row(cells: Any, kind: Any) -> int:  # noqa: ANN401
    """Halve until one row is left: Arrow says that a column fails, not where."""
    low, high = 0, len(cells)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            pc.cast(cells.slice(low, middle - low), kind)
            low = middle
        except pa.ArrowInvalid:
            high = middle
    return low


def _time_problem(name: str, cell: str) -> str:
    if not cell:
        return f"{name} is missing; fill it in or remove the row"
    if cell.startswith("-"):
        return f"{name} is {shown(cell)}; a time cannot be negative"
    return f"{name} is {shown(cell)}, neither a number nor an ISO 8601 time from 1678 to 2262"
