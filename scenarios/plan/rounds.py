"""Searches in rounds: each asks for a load, all that is asked runs on several processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from scenarios.plan.task import Backlog, BacklogRun, LoadRun, digest_of
from scenarios.processes import run_all
from scenarios.sweep_store import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from scenarios.plan.search import LoadGrid, Search
    from scenarios.plan.task import Row, Setup
    from traces.record import Trace

LEDGER = "runs.jsonl"


class PlanWatcher(Protocol):
    """Is told how far a plan is."""

    def starts(self, stage: str, total: int | None) -> None:
        """A stage begins; how many runs it takes is not known where it is None."""

    def advanced(self, pieces: int) -> None:
        """So many more runs of the stage have ended."""


@dataclass(frozen=True, slots=True)
class Hunt:
    """A search of one setup under one seed."""

    setup: Setup
    seed: int
    search: Search


class Runs:
    """Rows by digest, made once: those of a folder first, the others by running them.

    Attributes:
        made: How many were run, not found.
    """

    def __init__(self, folder: Path | None, jobs: int, watcher: PlanWatcher) -> None:
        self._ledger = None if folder is None else Ledger(folder / LEDGER)
        self._rows: dict[str, Row] = {} if self._ledger is None else dict(self._ledger.rows)
        self._used: dict[str, Row] = {}
        self._jobs = jobs
        self._watcher = watcher
        self._digests: dict[int, tuple[Trace, str]] = {}  # a trace kept keeps its id
        self.made = 0

    @property
    def used(self) -> list[Row]:
        """Every run at a load that this plan asked for, in the order in which it did."""
        return [row for row in self._used.values() if "load" in row]

    def backlogs(self, setups: Sequence[Setup]) -> list[Backlog]:
        """How each serves a backlog."""
        tasks = [BacklogRun(setup, self._digest(setup, "backlog")) for setup in setups]
        self._watcher.starts("saturation", len(tasks))
        return [Backlog.of(row) for row in self._rows_of(tasks)]

    def at(self, grid: LoadGrid, points: Iterable[tuple[Setup, int, int]]) -> list[Row]:
        """The row of each (setup, number of the load, seed)."""
        tasks = [
            LoadRun(
                setup, number, grid.load(number), seed, self._digest(setup, (number, grid, seed))
            )
            for setup, number, seed in points
        ]
        return self._rows_of(tasks)

    def at_load(self, points: Iterable[tuple[Setup, float, int]]) -> list[Row]:
        """The row of each (setup, load, seed), of loads that lie on no grid."""
        tasks = [
            LoadRun(setup, None, load, seed, self._digest(setup, (load, seed)))
            for setup, load, seed in points
        ]
        return self._rows_of(tasks)

    def stage(self, name: str) -> None:
        """Say what the runs that follow are for."""
        self._watcher.starts(name, None)

    def hunt(self, grid: LoadGrid, hunts: Sequence[Hunt], stage: str) -> None:
        """Run searches to their ends."""
        self.stage(stage)
        while True:
            asking = [(hunt, hunt.search.wanted()) for hunt in hunts]
            points = [(hunt, number) for hunt, number in asking if number is not None]
            if not points:
                return
            self._try(grid, points)

    def try_all(self, grid: LoadGrid, points: Sequence[tuple[Hunt, int]], stage: str) -> None:
        """Try loads that the searches did not ask for, and let them know."""
        self._watcher.starts(stage, len(points))
        self._try(grid, points)

    def _try(self, grid: LoadGrid, points: Sequence[tuple[Hunt, int]]) -> None:
        rows = self.at(grid, [(hunt.setup, number, hunt.seed) for hunt, number in points])
        for (hunt, number), row in zip(points, rows, strict=True):
            hunt.search.passed[number] = bool(row["within"])

    def _rows_of(self, tasks: Sequence[LoadRun | BacklogRun]) -> list[Row]:
        missing = {task.digest: task for task in tasks if task.digest not in self._rows}
        self._watcher.advanced(len(tasks) - len(missing))
        for _, row in run_all(list(missing.values()), min(self._jobs, max(1, len(missing)))):
            self._rows[row["digest"]] = row
            self.made += 1
            if self._ledger is not None:
                self._ledger.append((row,))
            self._watcher.advanced(1)
        rows = [self._rows[task.digest] for task in tasks]
        self._used.update((row["digest"], row) for row in rows)
        return rows

    def _digest(self, setup: Setup, what: object) -> str:
        """A trace is digested once, however often it is asked for."""
        trace = setup.traffic.trace
        if id(trace) not in self._digests:
            self._digests[id(trace)] = (trace, trace.digest())
        return digest_of(setup, self._digests[id(trace)][1], what)
