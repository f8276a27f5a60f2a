"""The sweeps of the paper: which variants, workloads, models, pools and seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scenarios.errors import UnknownNameError
from scenarios.reproduce import variants
from scenarios.reproduce.cell import PaperCell
from scenarios.reproduce.workloads import MODELS, POOLS_GIB, SEEDS, SHAREGPT, SYNTHETIC, Workload

if TYPE_CHECKING:
    from pathlib import Path

    from scenarios.reproduce.variants import Variant

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
THRESHOLDS = tuple((high, low) for high in (0.10, 0.20) for low in (0.02, 0.10))


@dataclass(frozen=True, slots=True)
class PaperSweep:
    """A grid of the paper.

    Attributes:
        name: What `--sweep` takes.
        about: What it varies, and in which table of the paper it stands.
        variants: Its allocators.
        workloads: Its traffic.
        pools_gib: Its budgets.
    """

    name: str
    about: str
    variants: tuple[Variant, ...]
    workloads: tuple[str, ...] = SYNTHETIC
    pools_gib: tuple[int, ...] = POOLS_GIB

    def cells(self, fixes: frozenset[str], prompts: Path | None) -> list[PaperCell]:
        """Every cell, seeds of one row side by side, in the order of the published rows.

        Raises:
            UserError: If the sweep needs prompt counts and there are none.
        """
        if SHAREGPT in self.workloads:
            Workload(SHAREGPT, 0, prompts).preset()
        return [
            PaperCell(variant, Workload(workload, seed, prompts), model, pool_gib, fixes)
            for variant in self.variants
            for workload in self.workloads
            for model in MODELS
            for pool_gib in self.pools_gib
            for seed in range(SEEDS)
        ]


_BASELINES = (variants.PADDED, variants.MR05, variants.MR09)
SWEEPS = {
    sweep.name: sweep
    for sweep in (
        PaperSweep("headline", "180 cells, the paper's main tables", variants.HEADLINE),
        PaperSweep("sharegpt", "60 cells, ShareGPT prompts", variants.HEADLINE, (SHAREGPT,)),
        PaperSweep(
            "batch-size",
            "432 cells, pages a migration moves",
            (*_BASELINES, *(variants.avmp_dynamic(batch) for batch in BATCHES)),
        ),
        PaperSweep(
            "threshold",
            "252 cells, the stated thresholds",
            (*_BASELINES, *(variants.avmp_thresholds(high, low) for high, low in THRESHOLDS)),
        ),
        PaperSweep(
            "cpu-270",
            "270 cells with pools of 8 GiB and batches of one page",
            (*variants.HEADLINE[:-1], variants.avmp_dynamic(1)),
            pools_gib=(1, 4, 8),
        ),
        PaperSweep(
            "static-ratio",
            "324 cells, not in the paper: static splits that it did not try",
            tuple(variants.fixed_dual(tenth / 10) for tenth in range(1, 10)),
        ),
        PaperSweep(
            "equal-bytes",
            "144 cells, not in the paper: AVMP with half the budget, since it occupies it twice",
            (variants.MR05, variants.MR05_HALF, variants.DYNAMIC, variants.DYNAMIC_HALF),
        ),
    )
}


def sweep_named(name: str) -> PaperSweep:
    """A sweep by its name.

    Raises:
        UnknownNameError: If there is none.
    """
    if name not in SWEEPS:
        raise UnknownNameError("sweep", name, SWEEPS)
    return SWEEPS[name]
