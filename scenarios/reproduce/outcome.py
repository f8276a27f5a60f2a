"""One sweep of the paper: what to run, and what it gave."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scenarios.errors import UnknownNameError
from scenarios.reproduce.comparisons import comparisons_of
from scenarios.reproduce.fixes import fix_names
from scenarios.reproduce.grid import sweep_named
from scenarios.reproduce.rows import rows_of, totals_of
from scenarios.version import SCHEMA_VERSION, TWINPOOL_VERSION

if TYPE_CHECKING:
    from pathlib import Path

    from scenarios.reproduce.cell import Row
    from scenarios.reproduce.run import Worker

PAPERS = ("avmp",)


@dataclass(frozen=True, slots=True)
class ReproduceOptions:
    """What to reproduce.

    Attributes:
        sweep: Name of a sweep; None is the headline, or with a folder everything.
        fixes: Names of fixes; `all` stands for those that make the design right.
        jobs: Processes.
        folder: Where cells are kept as they end; cells found there are not run again.
        prompts: File of prompt token counts for the ShareGPT replay.
    """

    sweep: str | None = None
    fixes: tuple[str, ...] = ()
    jobs: int = 1
    folder: Path | None = None
    prompts: Path | None = None


@dataclass(frozen=True, slots=True)
class SweepOutcome:
    """What a sweep of the paper gave.

    Attributes:
        facts: What was run, by the names of the JSON contract.
        cells: One row a cell.
        rows: One row a (variant, workload, model, pool), beside the published figures.
        totals: One entry a variant.
        bootstrap: Variants compared with `fixed_dual_mr05`, as published and with care.
    """

    facts: dict[str, Any]
    cells: list[Row]
    rows: list[Row]
    totals: list[Row]
    bootstrap: list[Row]

    def to_json(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        parts = {"rows": self.rows, "totals": self.totals, "bootstrap": self.bootstrap}
        return {**self.facts, **parts}


class ReproduceInterruptedError(Exception):
    """The user interrupted; `num_cells` cells are done."""

    def __init__(self, num_cells: int) -> None:
        super().__init__(f"interrupted after {num_cells} cells")
        self.num_cells = num_cells


def known_paper(name: str) -> str:
    """The name of a paper.

    Raises:
        UnknownNameError: If it is not known.
    """
    if name not in PAPERS:
        raise UnknownNameError("paper", name, PAPERS)
    return name


def run_sweep(options: ReproduceOptions, worker: Worker) -> SweepOutcome:
    """Run the sweep that the options name.

    Raises:
        UserError: An unknown name, a damaged file in the folder, or no prompt counts.
        TraceError: A file of prompt counts that is none.
    """
    start_s = time.perf_counter()
    fixes = fix_names(options.fixes)
    sweep = sweep_named(options.sweep or "headline")
    cells = sweep.cells(fixes, options.prompts)
    found = worker.run(cells, sweep.name)
    rows = rows_of(found, compare=not fixes)
    described = repr([cell.digest() for cell in cells])
    facts = {
        "schema_version": SCHEMA_VERSION,
        "twinpool_version": TWINPOOL_VERSION,
        "command": "reproduce",
        "seed": 0,
        "scenario_digest": hashlib.sha256(described.encode()).hexdigest(),
        "paper": "avmp",
        "sweep": sweep.name,
        "fixes": sorted(fixes),
        "cells": len(found),
        "wall_seconds": time.perf_counter() - start_s,
    }
    totals = totals_of(rows, sweep.name, compare=not fixes)
    return SweepOutcome(
        facts, found, rows, totals, comparisons_of(found, sweep.name, compare=not fixes)
    )
