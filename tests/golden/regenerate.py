"""Event logs of a fixed scenario, three budgets an allocator: digests, and counts for people.

Beside them a run that swaps, and the scenario twice as fast over two replicas, by router.

    python tests/golden/regenerate.py           rewrites the stores from the code as it is
    python tests/golden/regenerate.py --print   shows what it would write

A digest may change only when behaviour is meant to; the counts beside it say in what direction.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from allocator.backing import HostBacking
from allocator.registry import known_managers
from allocator.spec import CacheGroup, CacheKind, CacheSpec
from sim.costs.host_link import HostLink, HostMemory
from sim.costs.roofline import DeviceCosts, ModelCosts, RemapCosts, RooflineExecutor
from sim.engine import Engine, Fleet, Wiring
from sim.event_log import EventKind, EventLog, Loss
from sim.preemption import Means
from sim.preemptions.swap import Rule, SwapOptions, SwapToHost
from sim.router import known_routers
from sim.schedulers.fcfs import FcfsOptions, FcfsScheduler
from traces.record import Trace

STORE = Path(__file__).parent / "event_logs.json"
SWAP_STORE = Path(__file__).parent / "swap_logs.json"
REPLICA_STORE = Path(__file__).parent / "replica_logs.json"
GRANULE_BYTES = 4096
BUDGETS = {"loose": 1600, "tight": 400, "very tight": 250}
"""Granules: nothing is short under the bound, much is, and almost everything is."""
SPEC = CacheSpec(
    (CacheGroup("kv", CacheKind.ATTENTION, 4, 64), CacheGroup("ssm", CacheKind.STATE, 12, 1000))
)
MODEL = ModelCosts(
    dense_bytes=4e6,
    dense_flops_per_token=4e6,
    expert_bytes=8e6,
    expert_flops_per_token=1e6,
    num_experts=8,
    experts_per_token=2,
    attention_flops_per_pair=4096.0,
    kv_bytes_per_token=256.0,
    state_bytes=12_000.0,
    state_flops_per_token=48_000.0,
)
DEVICE = DeviceCosts(
    bytes_per_s=1e12,
    flops_per_s=1e14,
    step_overhead_ns=2000.0,
    remap=RemapCosts(batch_ns=30_000.0, unmap_ns=22_000.0, map_ns=38_000.0),
    remap_beside=RemapCosts(batch_ns=88_000.0, unmap_ns=24_000.0, map_ns=39_000.0),
    copy_ns=5_000.0,
)
HOST = HostMemory(HostLink(bytes_per_s=2e10, start_ns=1500.0), size_bytes=120_000)
SWAPS = {"always": SwapOptions(), "cheaper": SwapOptions(choice=Rule.CHEAPER)}
COUNTED = {
    "completions": EventKind.COMPLETION,
    "rejections": EventKind.REJECTION,
    "preemptions": EventKind.PREEMPTION,
    "ooms": EventKind.OOM,
    "migrations": EventKind.MIGRATION,
    "blocked_migrations": EventKind.MIGRATION_BLOCKED,
}


def fixed_trace() -> Trace:
    """300 requests that grow from short to long, with a giant in the middle; no generator.

    A generator's stream may change between versions of numpy, a product of integers may not.
    """
    index = np.arange(300, dtype=np.int64)
    prompts = 8 + index * 7919 % (20 + 3 * index)
    prompts[150] = 5000
    outputs = 1 + index * 104_729 % 150
    return Trace("golden", prompts, outputs, index * 30_000 + index * 31_337 % 25_000)


def simulate(allocator: str, budget: str) -> EventLog:
    """Run the scenario with an allocator's default options within a budget."""
    return Engine(fixed_trace(), wiring(allocator, budget)).run()


def wiring(allocator: str, budget: str) -> Wiring:
    """The parts of a replica."""
    kind = known_managers()[allocator]
    backing = HostBacking(BUDGETS[budget] * GRANULE_BYTES, GRANULE_BYTES)
    manager = kind(SPEC, backing, kind.Options())
    scheduler = FcfsScheduler(FcfsOptions(max_seqs=64, max_batched_tokens=256))
    return Wiring(manager, scheduler, RooflineExecutor(MODEL, DEVICE))


def simulate_replicas(router: str, engine: type[Engine] = Engine) -> EventLog:
    """Run the scenario twice as fast over two replicas, with prompts that start alike."""
    trace = fixed_trace()
    assert trace.arrival_ns is not None
    prefixes = tuple((i % 5, 5 + i % 10, 15 + i % 20) for i in range(len(trace)))
    trace = replace(
        trace, arrival_ns=trace.arrival_ns // 2, prefixes=prefixes, prefix_block_tokens=64
    )
    kind = known_routers()[router]
    replicas = tuple(wiring("avmp", "tight") for _ in range(2))
    return engine(trace, Fleet(replicas, kind(kind.Options()))).run()


def simulate_swapping(choice: str) -> EventLog:
    """Run the scenario through `static` in tight memory, with host memory for a few sequences."""
    kind, steps = known_managers()["static"], RooflineExecutor(MODEL, DEVICE)
    manager = kind(
        SPEC, HostBacking(BUDGETS["tight"] * GRANULE_BYTES, GRANULE_BYTES), kind.Options()
    )
    swap = SwapToHost(SWAPS[choice], Means(SPEC, HOST, steps))
    scheduler = FcfsScheduler(FcfsOptions(max_seqs=64, max_batched_tokens=256))
    wiring = Wiring(manager, scheduler, swap.priced(steps), preemption=swap)
    return Engine(fixed_trace(), wiring).run()


def swap_summary(log: EventLog) -> dict[str, int | str]:
    """The same of a run that swaps, with what becomes of its victims."""
    losses = log.of(EventKind.PREEMPTION)[:, 5].tolist()
    counts: dict[str, int | str] = {loss.name.lower(): losses.count(loss) for loss in Loss}
    return counts | {"swapped_bytes": int(log.of(EventKind.SWAP_IN)[:, 3].sum())} | summary(log)


def summary(log: EventLog) -> dict[str, int | str]:
    """The digest of a log, with counts for people."""
    counts: dict[str, int | str] = {key: len(log.of(kind)) for key, kind in COUNTED.items()}
    return counts | {"end_ns": int(log.table()[-1, 0]), "sha256": log.sha256()}


def main() -> None:
    """Write the store, or print it."""
    logs = {
        allocator: {budget: summary(simulate(allocator, budget)) for budget in BUDGETS}
        for allocator in known_managers()
    }
    text = json.dumps(logs, indent=2) + "\n"
    if "--print" in sys.argv:
        sys.stdout.write(text)
        return
    STORE.write_text(text)
    swaps = {choice: swap_summary(simulate_swapping(choice)) for choice in SWAPS}
    SWAP_STORE.write_text(json.dumps(swaps, indent=2) + "\n")
    by_router = {router: summary(simulate_replicas(router)) for router in known_routers()}
    REPLICA_STORE.write_text(json.dumps(by_router, indent=2) + "\n")


if __name__ == "__main__":
    main()
