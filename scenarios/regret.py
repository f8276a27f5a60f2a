"""How far each allocator of a sweep is from the bound, and from the best static split in hindsight.

A *place* is a (model, mix, load); its value of a measure is the mean over seeds, and its regret
against another allocator is the relative loss of that mean. A *family* is a set of places, and its
regret their mean. Intervals come from a bootstrap over seeds: all places of a seed are drawn
together, since loads of one seed share their requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from sim.statistics import Interval, bootstrap

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from scenarios.sweep_task import Row

    Values = NDArray[np.float64]
    Mask = NDArray[np.bool_]

BOUND = "shared-bytes"
STATIC = "static"
BEST_STATIC = "best static"
MATTERS = 0.001
"""Share below which a difference counts as a tie however sure it is: a migration takes a moment."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure of a run that allocators are compared by.

    Attributes:
        column: Its name in the results.
        title: What tables call it.
        higher_is_better: Whether more of it is better.
    """

    column: str
    title: str
    higher_is_better: bool = True

    @property
    def is_latency(self) -> bool:
        """Whether overload makes it a matter of how long the trace is."""
        return self.column.startswith(("ttft_s", "tpot_s", "e2e_s"))


GOODPUT = Measure("goodput_rps", "goodput")
MEASURES = (
    GOODPUT,
    Measure("throughput_rps", "requests/s"),
    Measure("throughput_tokens_per_s", "tokens/s"),
    Measure("ttft_s_p99", "p99 TTFT", higher_is_better=False),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where allocators meet: the same model, requests and arrivals."""

    model: str
    mix: str
    load: float


@dataclass(frozen=True, slots=True)
class Panel:
    """One measure of every run.

    Attributes:
        measure: Which.
        places: In the order of the results.
        num_seeds: Seeds of each place.
        values: By allocator, shape (places, seeds); NaN where a run failed or has no such figure.
        splits: The static allocator that is best at each place, of those that refuse fewest
            requests; chosen with all seeds known. Empty without static allocators.
    """

    measure: Measure
    places: tuple[Place, ...]
    num_seeds: int
    values: dict[str, Values]
    splits: tuple[str, ...] = ()

    def rows_where(self, **wanted: object) -> Mask:
        """The places whose `model`, `mix` or `load` are those wanted, shape (places,)."""
        return np.array(
            [all(getattr(place, key) == wanted[key] for key in wanted) for place in self.places],
            dtype=np.bool_,
        )

    def regrets(self, allocator: str, against: str = BOUND) -> Values:
        """The regret of an allocator at each place, shape (places,); NaN where it has none."""
        everywhere = np.ones(len(self.places), dtype=np.bool_)
        draw = np.arange(self.num_seeds)[np.newaxis]
        return np.asarray(self._by_place(allocator, against, everywhere, draw)[:, 0])

    def family_regret(self, allocator: str, against: str, rows: Mask) -> Interval:
        """The mean regret over the places of a family, with its interval."""
        statistic = partial(self._mean_regret, allocator, against, rows)
        return bootstrap(statistic, self.num_seeds)

    def _mean_regret(
        self, allocator: str, against: str, rows: Mask, draws: NDArray[np.intp]
    ) -> Values:
        """Shape (draws,); places without a regret do not count."""
        regrets = self._by_place(allocator, against, rows, draws)
        known = np.isfinite(regrets)
        totals = np.where(known, regrets, 0.0).sum(axis=0)
        return np.asarray(totals / np.maximum(1, known.sum(axis=0)))

    def _by_place(
        self, allocator: str, against: str, rows: Mask, draws: NDArray[np.intp]
    ) -> Values:
        """Regrets, shape (places of the family, draws)."""
        own, other = self.values[allocator][rows], self.values[against][rows]
        both = np.isfinite(own) & np.isfinite(other)  # seeds that only one has would be unfair
        mine = np.where(both, own, 0.0)[:, draws].sum(axis=-1)
        theirs = np.where(both, other, 0.0)[:, draws].sum(axis=-1)
        ratio = np.full(theirs.shape, np.nan)
        np.divide(mine, theirs, out=ratio, where=theirs > 0)
        return 1 - ratio if self.measure.higher_is_better else ratio - 1


def panel_of(rows: Sequence[Row], measure: Measure) -> Panel:
    """One measure of the results of a sweep, with the best static split of each place added."""
    places = tuple(dict.fromkeys(map(_place, rows)))
    num_seeds = len({row["seed"] for row in rows})
    values, rejected = (_values(rows, column) for column in (measure.column, "rejected"))
    names = [name for name in values if is_static(name)]
    if not names:
        return Panel(measure, places, num_seeds, values)
    sign = 1.0 if measure.higher_is_better else -1.0
    refused = np.array([-_mean_known(-rejected[name]) for name in names])
    means = np.array([_mean_known(sign * values[name]) for name in names])
    # Who refuses long requests serves the others faster: such a split is no better.
    means[refused > refused.min(axis=0)] = -np.inf
    best = means.argmax(axis=0)
    values[BEST_STATIC] = np.array([values[names[one]][i] for i, one in enumerate(best)])
    return Panel(measure, places, num_seeds, values, tuple(names[one] for one in best))


def _values(rows: Sequence[Row], column: str) -> dict[str, Values]:
    """A figure by allocator, shape (places, seeds)."""
    place_of = {place: i for i, place in enumerate(dict.fromkeys(map(_place, rows)))}
    seed_of = {seed: i for i, seed in enumerate(sorted({row["seed"] for row in rows}))}
    values: dict[str, Values] = {}
    for row in rows:
        shape = (len(place_of), len(seed_of))
        table = values.setdefault(row["allocator"], np.full(shape, np.nan))
        figure = row.get(column)
        if figure is not None:
            table[place_of[_place(row)], seed_of[row["seed"]]] = figure
    return values


def is_static(allocator: str) -> bool:
    """Whether an allocator is a static split of some ratio."""
    return allocator.partition(":")[0] == STATIC


def compared(panel: Panel) -> list[str]:
    """The allocators that tables show: static splits stand there as the best one only."""
    return [name for name in panel.values if not is_static(name) and name != BOUND]


def outcome(regret: Interval) -> str:
    """Win or loss if the interval lies on one side of 0 and the estimate matters, else tie."""
    if regret.high < 0 and regret.estimate < -MATTERS:
        return "win"
    return "loss" if regret.low > 0 and regret.estimate > MATTERS else "tie"


def unique(places: Iterable[Place], key: str) -> list[object]:
    """The models, mixes or loads of places, each once, in order."""
    return list(dict.fromkeys(getattr(place, key) for place in places))


def _place(row: Row) -> Place:
    return Place(row["model"], row["mix"], float(row["load"]))


def _mean_known(values: Values) -> Values:
    """Mean over seeds of what is known, shape (places,); -inf where nothing is."""
    known = np.isfinite(values)
    totals = np.where(known, values, 0.0).sum(axis=1)
    return np.where(known.any(axis=1), totals / np.maximum(1, known.sum(axis=1)), -np.inf)
