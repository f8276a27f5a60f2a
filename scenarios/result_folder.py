"""Result folders: which command wrote one, its page, and its figures for a comparison."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scenarios.errors import UserError
from scenarios.plan.page import plan_html
from scenarios.report.page import report_html
from scenarios.result import ReplayResult
from scenarios.store import kept_runs, read_kept
from scenarios.sweep_page import sweep_html
from scenarios.sweep_store import RESULTS, read_results
from scenarios.sweep_table import by_allocator
from scenarios.text_file import MOST_RESULT_BYTES, read_facts, read_text
from scenarios.version import TWINPOOL_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Facts = dict[str, Any]
    Value = float | str
    Figures = dict[str, dict[str, Value]]

REPORT = "report.html"
MARKS = {
    "plan.json": "plan",
    "compare.json": "compare",
    "capacity.json": "capacity",
    "result.json": "",  # which it is stands inside
}
SWEEP_FIGURES = ("throughput_rps", "goodput_rps", "preemptions", "rejected", "migrations_count")
WORDS = ("stability", "limiting_resource")
"""Figures that are words."""
MEASURED = "host_ns_per_allocator_op"
"""The one figure of a run that is no simulated one, and differs from run to run."""


@dataclass(frozen=True, slots=True)
class ResultFolder:
    """A folder that a command wrote.

    Attributes:
        path: Where it lies.
        command: The command.
        facts: Its JSON object.
    """

    path: Path
    command: str
    facts: Facts

    @classmethod
    def open(cls, path: Path) -> ResultFolder:
        """Find out what is in a folder.

        Raises:
            UserError: No such folder, nothing of ours in it, or a damaged file.
        """
        if not path.is_dir():
            raise UserError(f"{path} is no folder: give the --out folder of a command")
        for name, command in MARKS.items():
            file = path / name
            if file.is_file():
                facts = read_facts(file)
                found = command or str(facts.get("command"))
                if found not in KINDS:
                    raise UserError(f"{file} was written by no command that has a report")
                return cls(path, found, facts)
        raise UserError(
            f"{path} holds no result of {', '.join(KINDS)}: run one of them with --out {path}"
        )

    def page(self) -> str:
        """Its report as text.

        Raises:
            UserError: A damaged or missing file.
        """
        with _as_written(self):
            return KINDS[self.command].page(self)

    def figures(self) -> Figures:
        """Figures by what they are of, to put beside those of another folder; errors as above."""
        with _as_written(self):
            return KINDS[self.command].figures(self)


@dataclass(frozen=True, slots=True)
class Kind:
    """How the folders of a command are read."""

    page: Callable[[ResultFolder], str]
    figures: Callable[[ResultFolder], Figures]


@contextmanager
def _as_written(folder: ResultFolder) -> Iterator[None]:
    """Say of a folder that it is not as its command of this version wrote it.

    What a page is made of has a hundred keys; that one is missing or of another type shows here.
    """
    try:
        yield
    except UserError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise UserError(
            f"{folder.path} is not as twinpool {folder.command} {TWINPOOL_VERSION} writes it"
            f" ({error!r}): run the command again"
        ) from error


def _replay_page(folder: ResultFolder) -> str:
    """Made anew from the kept logs."""
    kept = kept_runs(folder.path)
    names = [run["allocator"] for run in folder.facts["runs"]]
    runs = tuple(read_kept(kept[name]) for name in names if name in kept)
    facts = {key: value for key, value in folder.facts.items() if key != "runs"}
    return report_html(ReplayResult(facts, runs))


def _sweep_page(folder: ResultFolder) -> str:
    return sweep_html(folder.facts, read_results(folder.path / RESULTS))


def _plan_page(folder: ResultFolder) -> str:
    return plan_html(folder.facts)


def _own_page(folder: ResultFolder) -> str:
    """The page that the command wrote, which needs what the folder does not hold."""
    file = folder.path / f"{folder.command}.html"
    if not file.is_file():
        raise UserError(f"{file} is missing: run twinpool {folder.command} again with --out")
    return read_text(file, MOST_RESULT_BYTES)


def _of_runs(folder: ResultFolder) -> Figures:
    return {run["allocator"]: dict(_figures(run)) for run in folder.facts["runs"]}


def _of_plan(folder: ResultFolder) -> Figures:
    """By allocator; the device is named only where there are several.

    So two plans of one device each, and not the same, can be put beside each other.
    """
    several = len(folder.facts["devices"]) > 1
    return {
        row["allocator"] + f" on {row['device']}" * several: dict(_figures(row))
        for row in folder.facts["allocators"]
    }


def _of_sweep(folder: ResultFolder) -> Figures:
    """Means over the cells of an allocator that did not fail."""
    rows = [row for row in read_results(folder.path / RESULTS) if row["error"] is None]
    return {
        name: {
            figure: sum(row[figure] or 0.0 for row in cells) / len(cells)
            for figure in SWEEP_FIGURES
        }
        for name, cells in by_allocator(rows).items()
    }


def _of_whole(folder: ResultFolder) -> Figures:
    return {folder.command: dict(_figures(folder.facts))}


KINDS = {
    "replay": Kind(_replay_page, _of_runs),
    "sweep": Kind(_sweep_page, _of_sweep),
    "plan": Kind(_plan_page, _of_plan),
    "compare": Kind(_own_page, _of_whole),
    "capacity": Kind(_own_page, _of_whole),
}


def _figures(values: Facts, prefix: str = "") -> Iterator[tuple[str, Value]]:
    """Every number, and some words, by one name each: `ttft_s: {p99}` becomes `ttft_s p99`."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _figures(value, f"{prefix}{name} ")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            if name != MEASURED and math.isfinite(value):
                yield prefix + name, float(value)
        elif isinstance(value, str) and name in WORDS:
            yield prefix + name, value
