"""What a figure of a result is called, in which unit it is read, and which way is better.

All of that is read off its key in the JSON contract (`ttft_s p99`), so that a new figure of any
command is shown without being listed here; only whether it is good has to be.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from scenarios.report.quantity import BYTES, COUNTS, SECONDS, Unit
from scenarios.report.quantity import number as in_unit
from scenarios.report.table import HIGHER, LOWER, NEITHER, PER_SECOND, TOKENS_PER_SECOND

PERCENT = (Unit("%", 1),)
SUFFIXES = {
    "tokens_per_s": TOKENS_PER_SECOND,
    "rps": PER_SECOND,
    "pct": PERCENT,
    "bytes": BYTES,
    "seconds": SECONDS,
    "s": SECONDS,
}
"""Ends of names that say the unit, longer ones first."""
IN_SECONDS = re.compile(r"(ttft|tpot|e2e)_(mean|p[\d.]+)")
"""Terms of a plan's objective, whose names are the user's and say no unit."""
SPELLINGS = {"ttft": "TTFT", "tpot": "TPOT", "e2e": "end to end", "oom": "OOM", "kv": "KV"}
DIRECTIONS = {
    HIGHER: (
        *("completed", "clean_completions", "throughput", "goodput", "prefix_hits"),
        *("max_rate", "max_concurrency", "output_tokens_per_s", "swaps kept_tokens"),
    ),
    LOWER: (
        *("rejected", "rejections", "preemptions", "oom_events", "recomputed_tokens"),
        *("ttft_s", "tpot_s", "e2e_s", "footprint_bytes", "waste", "queue_growth"),
        *("devices_for_target", "replicas_for_target", "cost_per_million_tokens"),
    ),
}
"""What keys begin with whose figures are good when they are high, or low."""
LATENCIES = ("ttft_s", "tpot_s", "e2e_s")
DIGITS = 4


@dataclass(frozen=True, slots=True)
class Figure:
    """How a figure is shown.

    Attributes:
        key: Its name in the JSON contract, the names of tables that it stands in before it.
        label: As people call it, without its unit.
        units: To choose from.
        better: `HIGHER`, `LOWER` or `NEITHER`.
    """

    key: str
    label: str
    units: tuple[Unit, ...]
    better: str

    @classmethod
    def of(cls, key: str) -> Figure:
        """The figure of a key."""
        parts = key.split(" ")
        units: tuple[Unit, ...] = COUNTS
        for place, part in enumerate(parts):
            name, found = _without_unit(part)
            if found is not COUNTS:
                parts[place], units = name, found
        words = " ".join(parts).replace("_", " ").split()
        label = " ".join(SPELLINGS.get(word, word) for word in words) or key
        return cls(key, label, units, _direction(key))

    @property
    def is_latency(self) -> bool:
        """Whether overload makes it a matter of how long the trace is."""
        return self.key.startswith(LATENCIES)

    def label_in(self, unit: Unit) -> str:
        """With the unit, where it has one."""
        return f"{self.label}, {unit.symbol}" if unit.symbol else self.label

    def text(self, value: float | str | None, unit: Unit) -> str:
        """A value as it is shown in a unit."""
        if value is None:
            return "-"
        if isinstance(value, str):
            return value
        if unit not in COUNTS or value.is_integer():
            return in_unit(value, unit)
        whole_digits = math.floor(math.log10(abs(value))) + 1
        return f"{value:,.{max(0, DIGITS - whole_digits)}f}"


def _without_unit(name: str) -> tuple[str, tuple[Unit, ...]]:
    if IN_SECONDS.fullmatch(name):
        return name, SECONDS
    for suffix, units in SUFFIXES.items():
        if name == suffix:
            return ("" if units is PERCENT else name), units
        if name.endswith(f"_{suffix}"):
            return name.removesuffix(f"_{suffix}"), units
    return name, COUNTS


def _direction(key: str) -> str:
    for better, starts in DIRECTIONS.items():
        if key.startswith(starts):
            return better
    return NEITHER
