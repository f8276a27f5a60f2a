"""What a replay found: one run an allocator, its log and its metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.event_log import EventLog


@dataclass(frozen=True, slots=True)
class RunResult:
    """One allocator's run.

    Attributes:
        allocator: The allocator as the user wrote it, options included.
        log: Everything that happened.
        metrics: The figures of the run, by the names of the JSON contract.
    """

    allocator: str
    log: EventLog
    metrics: dict[str, Any]

    @property
    def is_swapping(self) -> bool:
        """Whether preemption swapped somebody, or was to and found it not possible or dearer."""
        swaps = self.metrics.get("swaps", {})
        return any(swaps.get(name) for name in ("out_count", "host_full_count", "cheaper_count"))


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """All runs of one replay.

    Attributes:
        facts: What was run and on what, by the names of the JSON contract: model, device,
            scheduler, trace, requests, seed, digests and versions.
        runs: One run an allocator, in the order they were asked for.
    """

    facts: dict[str, Any]
    runs: tuple[RunResult, ...]

    def to_json(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        runs = [{"allocator": run.allocator, **run.metrics} for run in self.runs]
        return {**self.facts, "runs": runs}
