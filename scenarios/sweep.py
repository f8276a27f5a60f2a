"""Every cell of a scenario, on several processes, recorded as it ends."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from scenarios.errors import LostWorkersError
from scenarios.pools import Place, open_pool
from scenarios.profile import load_profile
from scenarios.retries import Lost
from scenarios.sweep_page import sweep_html
from scenarios.sweep_store import RESULTS, Ledger, write_results
from scenarios.sweep_task import CapacityTask, Group, is_lost, settings_of
from scenarios.version import SCHEMA_VERSION, TWINPOOL_VERSION
from scenarios.whole_file import write_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from scenarios.pools import Pool
    from scenarios.sweep_scenario import SweepScenario
    from scenarios.sweep_task import Done, Row

CELLS = "cells.jsonl"
CAPACITIES = "capacities.jsonl"
FACTS, REPORT = "result.json", "report.html"


@dataclass(frozen=True, slots=True)
class SweepOptions:
    """How to run a sweep.

    Attributes:
        folder: Where rows and table are kept; rows found there are not made again.
        place: Where cells run.
        limit_cells: Run only the first cells of the grid; None runs all.
    """

    folder: Path
    place: Place = field(default_factory=Place)
    limit_cells: int | None = None


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What a sweep found.

    Attributes:
        facts: What was run, by the names of the JSON contract.
        rows: One a cell that ran, in the order of the grid.
    """

    facts: dict[str, Any]
    rows: list[Row]

    def to_json(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        return {**self.facts, "rows": self.rows}


class SweepWatcher(Protocol):
    """Is told how far a sweep is."""

    def starts(self, stage: str, total: int) -> None:
        """A stage begins that ends with so many pieces."""

    def advanced(self, pieces: int) -> None:
        """So many more pieces of the stage are there."""


class SweepInterruptedError(Exception):
    """The user interrupted; `partial` holds the cells that were done."""

    def __init__(self, partial: SweepResult) -> None:
        super().__init__(f"interrupted after {len(partial.rows)} cells")
        self.partial = partial


class SweepLostError(LostWorkersError):
    """The workers have gone; `partial` holds the cells that were done."""

    def __init__(self, reason: str, partial: SweepResult, folder: Path) -> None:
        done = f"{len(partial.rows)} cells are done; they are kept in {folder}"
        super().__init__(f"{reason}: {done}, repeat the command to go on")
        self.partial = partial


def sweep(scenario: SweepScenario, options: SweepOptions, watcher: SweepWatcher) -> SweepResult:
    """Run every cell that the folder does not hold yet; write the table of all.

    Args:
        scenario: What to run.
        options: Where and how.
        watcher: Is told of progress.

    Raises:
        UserError: A damaged file in the folder.
        SweepInterruptedError: The user interrupted; the table of what was done is written.
        SweepLostError: The same, since the workers have gone.
    """
    start_s = time.perf_counter()
    ledger = Ledger(options.folder / CELLS)
    digests: list[tuple[str, ...]] = []

    def write() -> SweepResult:
        rows = [ledger.rows[digest] for group in digests for digest in group]
        result = SweepResult(_facts(scenario, rows, time.perf_counter() - start_s), rows)
        _write(options.folder, result)
        return result

    try:
        with open_pool(options.place) as pool:
            groups = _groups(scenario, options, watcher, pool)
            _run_cells(groups, ledger, digests, watcher, pool)
    except KeyboardInterrupt:
        raise SweepInterruptedError(write()) from None
    except LostWorkersError as error:
        raise SweepLostError(str(error), write(), options.folder) from None
    return write()


def _run_cells(
    groups: list[Group],
    ledger: Ledger,
    digests: list[tuple[str, ...]],
    watcher: SweepWatcher,
    pool: Pool,
) -> None:
    """Run cells, record each as it ends, and note its digest in the order of the grid."""
    tasks = list(_tasks(groups, _by_place(ledger.rows)))
    digests += [()] * len(tasks)
    watcher.starts("cells", sum(len(task.allocators) for task in tasks))
    for index, done in _recorded(tasks, ledger, pool):
        digests[index] = done.digests
        watcher.advanced(len(done.digests))


def _recorded(
    tasks: Sequence[CapacityTask | Group], ledger: Ledger, pool: Pool
) -> Iterator[tuple[int, Done]]:
    """What each task found as it ends, with its rows recorded."""
    for index, found in pool.run(tasks):
        done = tasks[index].lost(found.sentence) if isinstance(found, Lost) else found
        ledger.append(done.rows)
        yield index, done


def _groups(
    scenario: SweepScenario, options: SweepOptions, watcher: SweepWatcher, pool: Pool
) -> list[Group]:
    """The groups of the grid in its order, cut to the limit, each with its capacity."""
    rule = scenario.capacity
    ledger = Ledger(options.folder / CAPACITIES)
    kept = frozenset(ledger.rows)
    settings = list(settings_of(scenario))
    tasks = [CapacityTask(setting, rule, kept) for setting in settings]
    capacities: dict[int, Row] = {}
    watcher.starts("capacities", len(tasks))
    for index, done in _recorded(tasks, ledger, pool):
        capacities[index] = ledger.rows[done.digests[0]]
        watcher.advanced(1)
    grid = scenario.grid
    groups = [
        Group(setting, load, seed, grid.allocators, capacities[index])
        for index, setting in enumerate(settings)
        for load in grid.loads
        for seed in range(grid.seeds)
    ]
    return groups if options.limit_cells is None else _first(groups, options.limit_cells)


def _tasks(groups: list[Group], kept: dict[str, frozenset[str]]) -> Iterator[Group]:
    """One a cell, so that each lands, or is lost, alone; what is recorded is looked up together.

    The cells of a group share a trace. A worker keeps the last ones that it made, so to make it
    for a cell again costs less than to wait for a group that one slow cell holds up. A group that
    is all recorded stays one task: it only makes its trace, for the digests.
    """
    for group in groups:
        found = kept.get(_key(group.place), frozenset())
        whole = replace(group, kept=found)
        if len(found) >= len(group.allocators):
            yield whole
        else:
            yield from (replace(whole, allocators=(name,)) for name in group.allocators)


def _first(groups: list[Group], num_cells: int) -> list[Group]:
    """The groups of the first cells; the last one may be cut."""
    kept = []
    for group in groups:
        if num_cells <= 0:
            break
        kept.append(replace(group, allocators=group.allocators[:num_cells]))
        num_cells -= len(group.allocators)
    return kept


def _by_place(rows: dict[str, Row]) -> dict[str, frozenset[str]]:
    """The digests that are recorded for each group, so that a task takes only its own along.

    Cells that were only lost are not: they run again.
    """
    found: dict[str, set[str]] = {}
    for digest, row in rows.items():
        if is_lost(row):
            continue
        found.setdefault(_key(row), set()).add(digest)
    return {key: frozenset(digests) for key, digests in found.items()}


def _key(place: Row) -> str:
    return repr([place[name] for name in ("model", "mix", "load", "seed")])


def _facts(scenario: SweepScenario, rows: list[Row], wall_seconds: float) -> dict[str, Any]:
    """What was run, by the names of the JSON contract."""
    profile = scenario.grid.profile
    return {
        "schema_version": SCHEMA_VERSION,
        "twinpool_version": TWINPOOL_VERSION,
        "command": "sweep",
        "seed": 0,
        "seeds": scenario.grid.seeds,
        "scenario": scenario.name,
        "scenario_digest": hashlib.sha256(repr(scenario).encode()).hexdigest(),
        "profile_digest": load_profile(profile).digest if profile else None,
        "slo": scenario.grid.slo,
        "wall_seconds": wall_seconds,
        "cells": len(rows),
        "failed_cells": sum(row["error"] is not None for row in rows),
    }


def _write(folder: Path, result: SweepResult) -> None:
    write_text(folder / FACTS, json.dumps(result.facts, indent=1) + "\n")
    if result.rows:
        write_results(folder / RESULTS, result.rows)
        write_text(folder / REPORT, sweep_html(result.facts, result.rows))
