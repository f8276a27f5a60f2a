"""What sharing prefixes saved, and what it kept in memory for that."""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.event_log import EventKind, EventLog
from sim.metric import Metric, Slo

PERCENT = 100.0


class Prefixes(Metric):
    """Prompt tokens that were found instead of computed, recomputed prompts included.

    What victims of preemption find is mostly their own: `victims_tokens` of those found.

    Pages that nobody holds but that keep a text are free to be evicted; their share of the budget
    is a mean over time, as waste is. Evictions are all of the run's.
    """

    name = "prefixes"

    def measure(self, log: EventLog, slo: Slo) -> dict[str, Any]:  # noqa: ARG002
        """See `Metric.measure`; the share is of all prompt tokens, found or computed."""
        hits = log.of(EventKind.PREFIX_HIT)
        found, again = int(hits[:, 3].sum()), int(hits[hits[:, 5] > 0, 3].sum())
        computed = int(log.of(EventKind.CHUNK)[:, 3].sum())
        share_pct = PERCENT * found / (found + computed) if found + computed else None
        return {
            "prefix_hits": {"tokens": found, "pct": share_pct, "victims_tokens": again},
            "prefix_cache": _kept(log) | _evicted(log),
        }


def _kept(log: EventLog) -> dict[str, float | None]:
    """Share of the budget that only keeps texts, and that only keeps states of texts."""
    samples = log.of(EventKind.CACHE_SAMPLE)
    names = ("cached_pct", "cached_states_pct")
    if not len(samples):
        return dict.fromkeys(names)
    page_bytes = np.array([pool.page_bytes for pool in log.header.pools])
    cached_bytes = samples[:, 3:5] * page_bytes[samples[:, 2], None]
    by_sample = cached_bytes.reshape(-1, len(page_bytes), 2).sum(axis=1)
    times_ns = samples[:: len(page_bytes), 0]
    # A sample stands for the time since the one before, as in the metric of waste.
    spans_ns = np.diff(times_ns, prepend=times_ns[0] - log.header.sample_interval_ns)
    means = np.average(by_sample, axis=0, weights=spans_ns)
    means *= PERCENT / log.header.budget_bytes
    return dict(zip(names, map(float, means), strict=True))


def _evicted(log: EventLog) -> dict[str, int | None]:
    names = ("evicted_tokens", "evicted_states", "evicted_lone_states")
    counts = log.of(EventKind.EVICTIONS)
    if not len(counts):
        return dict.fromkeys(names)
    return dict(zip(names, map(int, counts[-1, 3:6]), strict=True))
