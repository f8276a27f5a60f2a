"""Which column of a measured file means what: as the user says, or by well-known names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scenarios.errors import UnknownNameError, UserError
from traces.timestamps import UNIT_DIGITS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PERCENT, FRACTION = "pct", "fraction"

WELL_KNOWN: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "request_id"),
    "arrival": ("arrival", "arrival_time", "arrived_at"),
    "first_token": ("first_token", "first_token_time", "first_token_at"),
    "ttft": ("ttft",),
    "last_token": ("last_token", "last_token_time", "last_token_at", "finished_at"),
    "e2e": ("e2e", "e2e_latency"),
    "prompt": ("prompt_tokens", "input_tokens"),
    "output": ("output_tokens", "completion_tokens", "generated_tokens"),
}
"""Role to the names that are recognised without `--columns`, with or without a unit behind them."""

LOG_TIMES = ("arrival", "first_token", "ttft", "last_token", "e2e")
OCCUPANCY_ROLES = ("time", "pct")
_UNIT_SUFFIX = re.compile(r"_(s|ms|us|ns)$")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a file and its unit, empty where the rule of `traces.timestamps` decides."""

    name: str
    unit: str = ""


Columns = dict[str, Column]
"""Role to column."""


def log_columns(text: str | None, found: Sequence[str], file: str) -> Columns:
    """The columns of a measured log.

    Args:
        text: `--columns`, or None to go by well-known names.
        found: The columns that the file has.
        file: Its name, for messages.

    Raises:
        UserError: An unknown role, one given twice, or a time that is missing.
    """
    if text is None:
        columns = _well_known(found)
    else:
        units = {role: tuple(UNIT_DIGITS) if role in LOG_TIMES else () for role in WELL_KNOWN}
        columns = parse_roles("--columns", text, units)
    where = "--columns" if text is not None else f"{file} has no column known as"
    for roles in (("arrival",), ("first_token", "ttft"), ("last_token", "e2e"), ("output",)):
        if len(columns.keys() & set(roles)) != 1:
            raise UserError(
                f"{where} {' or '.join(roles)}: name it with --columns arrival=...,first_token=...,"
                "last_token=...,output=..., and prompt=... and id=... where the file has them"
            )
    return columns


def occupancy_columns(text: str | None) -> Columns:
    """The columns of an occupancy series: `time=...[:unit],pct=...[:fraction]`.

    Raises:
        UserError: An unknown role, one given twice, or one of the two missing.
    """
    option = "--occupancy-columns"
    units = {"time": tuple(UNIT_DIGITS), "pct": (PERCENT, FRACTION)}
    columns = {role: Column(role) for role in OCCUPANCY_ROLES}
    return columns if text is None else columns | parse_roles(option, text, units)


def parse_roles(option: str, text: str, units: Mapping[str, tuple[str, ...]]) -> Columns:
    """Read `role=NAME[:unit],...`; a colon before anything but a unit belongs to the name.

    Args:
        option: The option's name, for messages.
        text: Its value.
        units: The roles there are, and the units of each.

    Raises:
        UserError: An unknown role, or one without a column or given twice.
    """
    columns: Columns = {}
    for part in text.split(","):
        role, _, name = (side.strip() for side in part.partition("="))
        if role not in units:
            raise UnknownNameError(f"column in {option}", role, units)
        if role in columns or not name:
            raise UserError(f"{option}: give {role} once, as {role}=NAME, not {part.strip()!r}")
        before, _, unit = name.rpartition(":")
        columns[role] = Column(before, unit) if before and unit in units[role] else Column(name)
    return columns


def _well_known(found: Sequence[str]) -> Columns:
    """The first column of each role, but one of two ways to say a time: stamps go first."""
    columns: Columns = {}
    for role, names in WELL_KNOWN.items():
        for column in found:
            if _UNIT_SUFFIX.sub("", column.lower()) in names:
                columns.setdefault(role, Column(column))
    for stamp, duration in (("first_token", "ttft"), ("last_token", "e2e")):
        if stamp in columns:
            columns.pop(duration, None)
    return columns
