"""From the evaluation as published to all of its habits fixed, one at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scenarios.reproduce.fixes import FIXES
from scenarios.reproduce.grid import SWEEPS
from scenarios.reproduce.rows import rows_of, totals_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scenarios.reproduce.cell import Row
    from scenarios.reproduce.run import Worker

AS_PUBLISHED = "as published"


@dataclass(frozen=True, slots=True)
class Step:
    """A state of the evaluation.

    Attributes:
        name: The fix that this step adds, or `as published`.
        fixes: All fixes up to here.
    """

    name: str
    fixes: frozenset[str]


def steps() -> list[Step]:
    """As published, then each fix of a count on top of those before it, in the order listed."""
    fixed: frozenset[str] = frozenset()
    found = [Step(AS_PUBLISHED, fixed)]
    for fix in FIXES:
        if fix.in_all and any(fix.concerns(variant) for variant in SWEEPS["headline"].variants):
            fixed |= {fix.name}
            found.append(Step(fix.name, fixed))
    return found


def lone_steps() -> list[Step]:
    """Each fix of a count alone, those that mend only the text included."""
    concerned = (
        fix
        for fix in FIXES
        if any(fix.concerns(variant) for variant in SWEEPS["headline"].variants)
    )
    return [Step(fix.name, frozenset({fix.name})) for fix in concerned]


def decompose(worker: Worker) -> dict[str, list[dict[str, Any]]]:
    """Totals of the headline sweep at every step, by `cumulative` and `alone`.

    Cells that a fix does not concern are the same runs as before, and are not run again.
    """
    every = [*steps(), *lone_steps()]
    cells = {step.fixes: SWEEPS["headline"].cells(step.fixes, None) for step in every}
    rows = worker.run([cell for own in cells.values() for cell in own], "one fix at a time")
    found, first = {}, 0
    for fixes, own in cells.items():
        found[fixes] = rows[first : first + len(own)]
        first += len(own)
    return {
        "cumulative": [_entry(step, found[step.fixes]) for step in steps()],
        "alone": [_entry(step, found[step.fixes]) for step in lone_steps()],
    }


def _entry(step: Step, cells: Sequence[Row]) -> dict[str, Any]:
    totals = totals_of(rows_of(cells, compare=False), "headline", compare=False)
    return {"step": step.name, "totals": totals}
