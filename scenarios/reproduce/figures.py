"""The figures of one open-loop run, folded from its event log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.paper.interface import STATE
from sim.event_log import EventKind

if TYPE_CHECKING:
    from sim.event_log import EventLog

STATE_POOL = 1


def figures_of(log: EventLog, num_requests: int) -> dict[str, Any]:
    """Counts, ratios and bytes of a run.

    Args:
        log: What happened.
        num_requests: Requests of the stream.

    Returns:
        oom, oom_state: Failing calls (the paper's count), and those for state among them.
        failed_requests: Requests with a failing call.
        completion_ratio: Share of requests without a failing call that stayed to their departure
            (the paper's definition). clean_completion_ratio: Those that lost no page, either.
        evicted_requests, evictions: Requests that lost their pages in a pool, and how often.
        pages_evicted, pages_freed_by_other: Pages they lost, and pages lost to a request that gave
            them back although they were its no more.
        migrations, to_state, bytes_migrated, bytes_wasted, blocked: Capacity that moved, how often
            to the state pool, what was no whole page there, and attempts that were refused.
        effective_batch: Median of live requests at every hundredth event, without interpolation.
        kv_pages, state_pages: Pages of the pools at the end; of the one pool, kv_pages.
        footprint_bytes: Physical bytes occupied.
        event_log_sha256: Digest of the log.
    """
    completions = log.of(EventKind.COMPLETION)
    losses, failures = completions[:, 4], completions[:, 5]
    failed = log.of(EventKind.OOM)
    return {
        "oom": len(failed),
        "oom_state": int((failed[:, 3] == STATE).sum()),
        "failed_requests": len(np.unique(failed[:, 2])),
        "completion_ratio": float((failures == 0).sum() / num_requests),
        "clean_completion_ratio": float(((failures == 0) & (losses == 0)).sum() / num_requests),
        **_losses(log),
        **_migrations(log),
        "effective_batch": _effective_batch(log),
        **_pools_at_end(log),
        "footprint_bytes": int(log.of(EventKind.END)[0, 4]),
        "event_log_sha256": log.sha256(),
    }


def _losses(log: EventLog) -> dict[str, int]:
    evictions, by_other = log.of(EventKind.EVICTION), log.of(EventKind.FREED_BY_OTHER)
    return {
        "evictions": len(evictions),
        "evicted_requests": len(np.unique(evictions[:, 2])),
        "pages_evicted": int(evictions[:, 4].sum()),
        "pages_freed_by_other": int(by_other[:, 4].sum()),
    }


def _migrations(log: EventLog) -> dict[str, int]:
    moved = log.of(EventKind.MIGRATION)
    page_bytes = np.array([pool.page_bytes for pool in log.header.pools])
    recipients, num_bytes = moved[:, 4], moved[:, 5]
    return {
        "migrations": len(moved),
        "to_state": int((recipients == STATE_POOL).sum()),
        "bytes_migrated": int(num_bytes.sum()),
        "bytes_wasted": int((num_bytes % page_bytes[recipients]).sum()),
        "blocked": len(log.of(EventKind.MIGRATION_BLOCKED)),
    }


def _effective_batch(log: EventLog) -> int:
    live = np.sort(log.of(EventKind.QUEUE_SAMPLE)[:, 3])
    return int(live[len(live) // 2])


def _pools_at_end(log: EventLog) -> dict[str, int]:
    samples = log.of(EventKind.POOL_SAMPLE)[-len(log.header.pools) :]
    pages = samples[:, 4].tolist()
    return {"kv_pages": pages[0], "state_pages": pages[1] if len(pages) > 1 else 0}
