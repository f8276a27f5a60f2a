"""Variants against `fixed_dual_mr05`: the paper's intervals, and ones that one may rely on.

The paper resamples single cells as if they were a sample of all cells there could be. The design
(models, pools, workloads) is fixed, though, and only the seeds are drawn; cells of one seed share
their requests. So here a cluster is a (workload, seed), strata are workloads, and the p-value
comes from flipping signs of whole clusters, adjusted for the number of comparisons (Holm). Three
seeds cannot show a difference of a single workload: no p-value below 0.25 is possible.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from scenarios.reproduce.published_figures import published_facts
from sim.statistics import (
    Interval,
    Resampling,
    holm,
    paired_bootstrap,
    sign_flip_p,
    stratified_bootstrap,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scenarios.reproduce.cell import Row

    Floats = NDArray[np.float64]

BASELINE = "fixed_dual_mr05"
ALL = "all"
OOM_DIFFERENCE = "oom difference"
PUBLISHED_SEED = 20260520
PUBLISHED = Resampling(resamples=10_000, confidence=0.95)
FAMILY_ERROR = 0.05


@dataclass(frozen=True, slots=True)
class Pairs:
    """Differences of a variant from the baseline, cell by cell.

    Attributes:
        variant: The variant.
        workload: A workload, or `all`.
        differences: OOM events of each pair, in the order (workload, model, pool, seed).
        clusters: Means by cluster, stratum by stratum: (workload, seed) in order.
        strata: Number of clusters of each workload.
    """

    variant: str
    workload: str
    differences: Floats
    clusters: Floats
    strata: tuple[int, ...]


def comparisons_of(
    cells: Sequence[Row], sweep: str, *, compare: bool = True
) -> list[dict[str, Any]]:
    """The comparisons that the paper makes of a sweep, or all variants with the baseline.

    Args:
        cells: One row a cell.
        sweep: Name of their sweep.
        compare: Whether the cells are as published, so that its intervals can stand beside.
    """
    found = []
    rng = np.random.default_rng(PUBLISHED_SEED)
    for entry in _entries(cells, sweep):
        pairs = pairs_of(cells, entry["variant"], entry["workload"])
        if pairs is None:
            continue
        as_published = paired_bootstrap(
            partial(_mean, pairs.differences), len(pairs.differences), rng, PUBLISHED
        )
        if entry["measure"] == OOM_DIFFERENCE:
            figures = entry["figures"] if compare else None
            found.append((pairs, as_published, figures))
    return _described(found)


def _entries(cells: Sequence[Row], sweep: str) -> list[dict[str, Any]]:
    """What is compared, in the order in which the paper's generator draws."""
    known: list[dict[str, Any]] | None = published_facts()["bootstrap"].get(sweep)
    if known is not None:
        return known
    others = dict.fromkeys(cell["variant"] for cell in cells if cell["variant"] != BASELINE)
    plain = {"workload": ALL, "measure": OOM_DIFFERENCE, "figures": None}
    return [{"variant": variant, **plain} for variant in others]


def _mean(values: Floats, draws: NDArray[np.intp]) -> Floats:
    return np.asarray(values[draws].mean(axis=-1))


def pairs_of(cells: Sequence[Row], variant: str, workload: str) -> Pairs | None:
    """The pairs of a comparison; None if a side is missing."""
    own, base = (_by_key(cells, name, workload) for name in (variant, BASELINE))
    keys = sorted(own)
    if not keys or keys != sorted(base):
        return None
    differences = np.array([own[key] - base[key] for key in keys], dtype=np.float64)
    members: dict[tuple[str, int], list[float]] = {}
    for (name, _, _, seed), value in zip(keys, differences.tolist(), strict=True):
        members.setdefault((name, seed), []).append(value)
    names = sorted(members)
    strata = tuple(
        sum(name == one for name, _ in names) for one in dict.fromkeys(n for n, _ in names)
    )
    clusters = np.array([np.mean(members[name]) for name in names])
    return Pairs(variant, workload, differences, clusters, strata)


def _by_key(
    cells: Sequence[Row], variant: str, workload: str
) -> dict[tuple[str, str, int, int], int]:
    return {
        (cell["workload"], cell["model"], cell["pool_gib"], cell["seed"]): cell["oom"]
        for cell in cells
        if cell["variant"] == variant and workload in {ALL, cell["workload"]}
    }


def _described(
    found: Sequence[tuple[Pairs, Interval, list[float] | None]],
) -> list[dict[str, Any]]:
    """The comparisons by the names of the JSON contract."""
    adjusted = holm([sign_flip_p(pairs.clusters.tolist()) for pairs, _, _ in found])
    return [
        {
            "variant": pairs.variant,
            "against": BASELINE,
            "workload": pairs.workload,
            "pairs": len(pairs.differences),
            "published": figures,
            "as_published": _numbers(as_published),
            "clusters": len(pairs.clusters),
            "clustered": _numbers(_clustered(pairs, len(found))),
            "p": sign_flip_p(pairs.clusters.tolist()),
            "p_holm": p_holm,
            "comparisons": len(found),
        }
        for (pairs, as_published, figures), p_holm in zip(found, adjusted, strict=True)
    ]


def _clustered(pairs: Pairs, num_comparisons: int) -> Interval:
    """Simultaneous over all comparisons (Bonferroni)."""
    how = Resampling(resamples=10_000, confidence=1 - FAMILY_ERROR / num_comparisons)
    return stratified_bootstrap(partial(_mean, pairs.clusters), pairs.strata, how)


def _numbers(interval: Interval) -> list[float]:
    return [interval.estimate, interval.low, interval.high]
