"""All rows of a validation, and the worst of each figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scenarios.validation.comparison import SHOWN

if TYPE_CHECKING:
    from collections.abc import Iterable

SAME = ("decisions_identical", "oom_identical", "peak_bytes_identical")


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """What a validation found.

    Attributes:
        facts: What was run and on what, by the names of the JSON contract.
        rows: One an allocator, backing and load, as `Row.to_json` makes them.
    """

    facts: dict[str, Any]
    rows: tuple[dict[str, Any], ...]

    def to_json(self) -> dict[str, Any]:
        """The object that `--json` prints; an error is that of the row where it is largest."""
        return {
            **self.facts,
            **{name: all(row[name] for row in self.rows) for name in SAME},
            "throughput_error_pct": _worst(row["throughput_error_pct"] for row in self.rows),
            "ttft_error_pct": self._worst_of("ttft_error_pct"),
            "tpot_error_pct": self._worst_of("tpot_error_pct"),
            "corrupted_pages": sum(row["corrupted_pages"] for row in self.rows),
            "rows": list(self.rows),
        }

    def _worst_of(self, key: str) -> dict[str, float | None]:
        return {name: _worst(row.get(key, {}).get(name) for row in self.rows) for name in SHOWN}


def _worst(errors: Iterable[float | None]) -> float | None:
    """The error that is farthest from 0, with its sign; None if there is none."""
    return max((error for error in errors if error is not None), key=abs, default=None)
