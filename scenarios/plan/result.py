"""What a plan found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scenarios.plan.task import Row


@dataclass(frozen=True, slots=True)
class PlanResult:
    """An answer with its uncertainty.

    Attributes:
        facts: What was planned, by the names of the JSON contract.
        allocators: One a device and allocator.
        ratios: Best static split and regrets, one a device; empty without ratios.
        sensitivity: One an input; empty where it was not asked for.
        recommendation: A sentence, and what it rests on.
        runs: Every evaluated run.
    """

    facts: dict[str, Any]
    allocators: list[dict[str, Any]]
    ratios: list[dict[str, Any]]
    sensitivity: list[dict[str, Any]]
    recommendation: dict[str, Any] | None
    runs: list[Row]

    def to_json(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        return {
            **self.facts,
            "allocators": self.allocators,
            "ratios": self.ratios,
            "sensitivity": self.sensitivity,
            "recommendation": self.recommendation,
            "runs": self.runs,
        }
