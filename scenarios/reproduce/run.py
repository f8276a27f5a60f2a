"""Runs the cells of a sweep on several processes, and keeps each as it ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from scenarios.processes import run_all
from scenarios.sweep_store import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

Row = dict[str, Any]
CELLS = "cells.jsonl"
RUNS_PER_TASK = 3
"""Runs a process takes at once: about a fifth of a second of work."""


class Watcher(Protocol):
    """Is told how far the work is."""

    def starts(self, stage: str, total: int) -> None:
        """A stage begins that ends with so many pieces."""

    def advanced(self, pieces: int) -> None:
        """So many more pieces of the stage are there."""


class Run(Protocol):
    """Something to run once."""

    def digest(self) -> str:
        """SHA-256 (hex) of all that determines the row."""

    def run(self) -> Row:
        """Its row, which holds the digest too."""


@dataclass(frozen=True, slots=True)
class RunsTask:
    """Some runs that one process does, one after the other."""

    runs: tuple[Run, ...]

    def run(self) -> tuple[Row, ...]:
        """See `scenarios.retries.Task`."""
        return tuple(run.run() for run in self.runs)


class Known:
    """Rows by digest: in memory, and in a folder if there is one."""

    def __init__(self, folder: Path | None, name: str = CELLS) -> None:
        self._ledger = None if folder is None else Ledger(folder / name)
        self.rows: dict[str, Row] = {} if self._ledger is None else self._ledger.rows

    def add(self, rows: Iterable[Row]) -> None:
        """Record rows."""
        if self._ledger is not None:
            self._ledger.append(rows)
        else:
            self.rows.update((row["digest"], row) for row in rows)


@dataclass(frozen=True, slots=True)
class Worker:
    """How runs are made.

    Attributes:
        known: What was run before; it grows.
        jobs: Processes.
        watcher: Is told of progress.
    """

    known: Known
    jobs: int
    watcher: Watcher

    def run(self, runs: Sequence[Run], stage: str) -> list[Row]:
        """The rows of runs, in their order; those known before are not run again."""
        digests = [run.digest() for run in runs]
        missing = {
            digest: run
            for digest, run in zip(digests, runs, strict=True)
            if digest not in self.known.rows
        }
        self.watcher.starts(stage, len(missing))
        due = list(missing.values())
        groups = [due[i : i + RUNS_PER_TASK] for i in range(0, len(due), RUNS_PER_TASK)]
        self._finish([RunsTask(tuple(group)) for group in groups])
        return [self.known.rows[digest] for digest in digests]

    def _finish(self, tasks: Sequence[RunsTask]) -> None:
        for _, rows in run_all(tasks, self.jobs):
            self.known.add(rows)
            self.watcher.advanced(len(rows))
