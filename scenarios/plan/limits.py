"""What keeps a setup from serving more: told by the run that fails just above its highest load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.choice import choose_scheduler

if TYPE_CHECKING:
    from scenarios.plan.task import Row, Setup

KV, STATE, COMPUTE, SCHEDULER, REQUESTS = "kv", "state", "compute", "scheduler", "requests"
MEMORY_SHARE = 0.5
"""Share of the time with a queue in which memory must have refused its head."""

AT_CAP_SHARE = 0.95
"""Mean running sequences while somebody waits, as a share of the cap that counts as reaching it."""

CAPS = ("max_seqs", "max_num_seqs", "max_running_requests")
"""What schedulers call the most sequences that may run."""


def limiting_resource(setup: Setup, row: Row) -> str:
    """KV, state, compute, scheduler or requests, by this rule.

    1. requests: some are refused at any load, since they could never fit, and the objective counts
       them as never served.
    2. memory, if for at least half of the time in which somebody waits memory had refused the head
       of the queue; or if only TPOT or end-to-end time is missed and sequences were preempted. It
       is the kind of the pool that refused most often; where one pool holds both kinds, the kind
       that holds more of its bytes.
    3. scheduler, if somebody waits and the sequences that run are the most it allows.
    4. compute otherwise: steps take too long, or prompts wait for steps.

    Args:
        setup: What ran.
        row: Its lowest failing run.
    """
    if row.get("error") or (row["unserved"] > 0 and row["stability"] == "stable"):
        return REQUESTS
    waits, refused = row["waiting_share"], row["refused_share"]
    missed_first = any(name.startswith("ttft") for name in row["missed"])
    by_queue = waits > 0 and refused >= MEMORY_SHARE * waits
    by_preemption = row["preempted"] > 0 and not missed_first and bool(row["missed"])
    if (by_queue and (missed_first or not row["missed"] or row["preempted"])) or by_preemption:
        return _kind_short(setup, row)
    cap = _cap(setup.cell.scheduler)
    if waits > 0 and cap is not None and row["running_mean_while_waiting"] >= AT_CAP_SHARE * cap:
        return SCHEDULER
    return COMPUTE


def _kind_short(setup: Setup, row: Row) -> str:
    pools = row["refused_pools"]
    most = max(pools, key=lambda name: (pools[name], name), default="")
    if most in {KV, STATE}:
        return most
    state_bytes = row["running_mean"] * setup.cell.machine.spec.bytes_per_sequence()
    return STATE if 2 * state_bytes > row["granted_bytes_mean"] else KV


def _cap(scheduler: str) -> int | None:
    options = choose_scheduler(scheduler)[0].options
    return next((int(getattr(options, name)) for name in CAPS if hasattr(options, name)), None)
