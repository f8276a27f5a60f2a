"""JSON schema of `twinpool replay --json`, after the public contract."""

from __future__ import annotations

from typing import Any

_NUMBER = {"type": ["number", "null"]}
_COUNT = {"type": "integer", "minimum": 0}
_DIGEST = {"type": "string", "pattern": "^[0-9a-f]{64}$"}


def _object(**properties: object) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


_LATENCY = _object(mean=_NUMBER, p50=_NUMBER, p90=_NUMBER, p99=_NUMBER)
_PERCENT = {"type": ["number", "null"], "minimum": 0, "maximum": 100}

_REJECTIONS = _object(
    too_long=_COUNT, outgrew=_COUNT, over_quota=_COUNT, throttled=_COUNT, queue_full=_COUNT
)
_TENANT = _object(
    tenant={"type": "string"},
    weight={"type": "number", "exclusiveMinimum": 0},
    requests=_COUNT,
    completed=_COUNT,
    rejected=_COUNT,
    rejections=_REJECTIONS,
    served_tokens=_COUNT,
    share_pct=_PERCENT,
    throughput_rps=_NUMBER,
    throughput_tokens_per_s=_NUMBER,
    goodput_rps=_NUMBER,
    ttft_s=_LATENCY,
    tpot_s=_LATENCY,
    e2e_s=_LATENCY,
    preemptions=_COUNT,
    preemptions_for_others=_COUNT,
)

RUN = _object(
    allocator={"type": "string"},
    completed=_COUNT,
    rejected=_COUNT,
    rejections=_REJECTIONS,
    clean_completions=_COUNT,
    preemptions=_COUNT,
    oom_events=_COUNT,
    recomputed_tokens=_COUNT,
    simulated_seconds={"type": "number", "minimum": 0},
    throughput_rps=_NUMBER,
    throughput_tokens_per_s=_NUMBER,
    goodput_rps=_NUMBER,
    ttft_s=_LATENCY,
    tpot_s=_LATENCY,
    e2e_s=_LATENCY,
    peak_bytes=_COUNT,
    budget_bytes=_COUNT,
    footprint_bytes=_COUNT,
    waste=_object(internal_pct=_PERCENT, external_pct=_PERCENT, stranded_pct=_PERCENT),
    migrations=_object(count=_COUNT, bytes=_COUNT, blocked=_COUNT),
    swaps=_object(
        out_count=_COUNT,
        in_count=_COUNT,
        out_bytes=_COUNT,
        in_bytes=_COUNT,
        link_seconds={"type": "number", "minimum": 0},
        kept_tokens=_COUNT,
        peak_host_bytes=_COUNT,
        host_full_count=_COUNT,
        cheaper_count=_COUNT,
    ),
    stability={"enum": ["stable", "backlogged", "overloaded"]},
    latency_valid={"type": "boolean"},
    queue_growth=_object(unserved_pct=_NUMBER, unserved_low_pct=_NUMBER),
    host_ns_per_allocator_op=_NUMBER,
    event_log_sha256=_DIGEST,
    tenants={"type": "array", "items": _TENANT},
    jain_index={"type": ["number", "null"], "minimum": 0, "maximum": 1},
)

REPLAY = _object(
    schema_version={"type": "integer"},
    twinpool_version={"type": "string"},
    command={"const": "replay"},
    seed=_COUNT,
    scenario_digest=_DIGEST,
    trace_digest=_DIGEST,
    wall_seconds={"type": "number", "minimum": 0},
    requests=_COUNT,
    trace_rate_rps=_NUMBER,
    runs={"type": "array", "items": RUN},
)
