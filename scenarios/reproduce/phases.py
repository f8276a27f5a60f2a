"""Where the time of the paper's runs goes, measured on this host, and what made its 13.3x.

Everything here is host time: how long Python took on one machine. The paper divides completed
requests by it and says goodput. It reads the wall clock; here it is the processor time of the
thread, which is the same on a quiet machine, and does not change when others use it too.

The ablation runs the static baseline twice, with and without the search through the live handles
that its prototype does at each eviction (see `allocator.paper.searched_holdings` for the evidence);
both runs decide the same, event for event.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.paper.holdings import ListedHoldings
from allocator.paper.searched_holdings import LiveHandles, SearchedHoldings
from allocator.paper.timed import PhaseTimes, Timed, TimedMigration
from scenarios.machine import GIB
from scenarios.reproduce import variants
from scenarios.reproduce.assembly import Assembly, Setup
from scenarios.reproduce.cell import PaperCell
from scenarios.reproduce.workloads import MODELS, POOLS_GIB, SYNTHETIC, Workload, paper_spec
from sim.event_log import EventKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.paper.holdings import Holdings
    from allocator.paper.interface import LayerAllocator, Witness
    from allocator.paper.layer_pools import LayerPools
    from allocator.paper.recovering import Remedy
    from scenarios.reproduce.cell import Row

NS_PER_S = 1e9
CLOCK_NS = time.thread_time_ns
SEARCH = "keyed-removal"
PHASES = ("service", "failed", "migration", "idle")


class TimedAssembly(Assembly):
    """An assembly whose calls and migrations are timed, and which searches as the paper's does."""

    def __init__(self, setup: Setup, witness: Witness, times: PhaseTimes) -> None:
        super().__init__(setup, witness)
        self._times = times
        is_static = not setup.variant.is_padded and not setup.variant.is_avmp
        self._searches = is_static and SEARCH not in setup.fixes
        self._handles = LiveHandles()

    def allocator(self) -> LayerAllocator:
        """See `Assembly.allocator`."""
        return Timed(super().allocator(), self._times, CLOCK_NS)

    def _holdings(self) -> Holdings:
        return SearchedHoldings(self._handles) if self._searches else ListedHoldings()

    def _migration(self, pools: LayerPools) -> Remedy:
        return TimedMigration(super()._migration(pools), self._times, CLOCK_NS)


def _assemble(times: PhaseTimes, setup: Setup, witness: Witness) -> LayerAllocator:
    return TimedAssembly(setup, witness, times).allocator()


@dataclass(frozen=True, slots=True)
class TimedRun:
    """A cell that is run by the clock.

    Attributes:
        cell: Which.
        searches: Whether a static split searches as the paper's does.
    """

    cell: PaperCell
    searches: bool

    @property
    def label(self) -> str:
        """The variant, and whether its search is off."""
        is_static = not self.cell.variant.is_padded and not self.cell.variant.is_avmp
        return self.cell.variant.label + (", keyed" if is_static and not self.searches else "")

    def digest(self) -> str:
        """SHA-256 (hex) of what is measured; the time itself differs from run to run."""
        return hashlib.sha256(
            f"processor time {self.label} {self.cell.digest()}".encode()
        ).hexdigest()

    def run(self) -> Row:
        """Run it by this host's clock; seconds by phase, and the digest of what was decided."""
        cell, times = self.cell, PhaseTimes()
        fixes = frozenset() if self.searches else frozenset({SEARCH})
        setup = Setup(paper_spec(cell.model), cell.pool_gib * GIB, cell.variant, fixes)
        stream = cell.workload.preset().ticks()
        start_ns = CLOCK_NS()
        log = setup.open_loop(partial(_assemble, times)).run(stream)
        run_ns = CLOCK_NS() - start_ns
        return {
            **cell.place,
            "label": self.label,
            "digest": self.digest(),
            "host_run_s": run_ns / NS_PER_S,
            "host_service_s": times.service_ns / NS_PER_S,
            "host_failed_s": times.failed_ns / NS_PER_S,
            "host_migration_s": times.migration_ns / NS_PER_S,
            "host_idle_s": (run_ns - times.service_ns - times.failed_ns) / NS_PER_S,
            "completed": int((log.of(EventKind.COMPLETION)[:, 5] == 0).sum()),
            "event_log_sha256": log.sha256(),
        }


TIMED = (
    (variants.PADDED, False),
    (variants.MR05, True),
    (variants.MR05, False),
    (variants.AVMP_STATIC, False),
    (variants.DYNAMIC, False),
)


def timed_runs() -> list[TimedRun]:
    """Every row of the headline grid with its first seed; the static baseline twice."""
    return [
        TimedRun(PaperCell(variant, Workload(workload, 0), model, pool_gib), searches)
        for variant, searches in TIMED
        for workload in SYNTHETIC
        for model in MODELS
        for pool_gib in POOLS_GIB
    ]


def phase_table(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Median share of each phase, and the paper's goodput, by label and workload."""
    found = []
    for label in dict.fromkeys(row["label"] for row in rows):
        for workload in SYNTHETIC:
            own = [r for r in rows if (r["label"], r["workload"]) == (label, workload)]
            shares = {
                f"{phase}_pct": float(
                    np.median([100 * r[f"host_{phase}_s"] / r["host_run_s"] for r in own])
                )
                for phase in PHASES
            }
            rates = [row["completed"] / row["host_run_s"] for row in own]
            rate = float(np.mean(rates))
            found.append({"label": label, "workload": workload, **shares, "host_goodput": rate})
    return found


def same_decisions(rows: Sequence[Row]) -> bool:
    """Whether the searching baseline and the keyed one wrote equal logs in every cell."""
    logs: dict[tuple[Any, ...], set[str]] = {}
    for row in rows:
        place = (row["variant"], row["workload"], row["model"], row["pool_gib"], row["seed"])
        logs.setdefault(place, set()).add(row["event_log_sha256"])
    return all(len(digests) == 1 for digests in logs.values())
