"""Runs on disk: written when they end, read back instead of being run again."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from scenarios.result import RunResult
from sim.event_log import EventLog, LogHeader, PoolHeader

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = ("time_ns", "kind", "subject", "a", "b", "c")
METADATA_KEY = b"twinpool"


def run_file(folder: Path, allocator: str) -> Path:
    """Where a run of an allocator lies in a result folder."""
    return folder / f"events-{re.sub(r'[^A-Za-z0-9.=_-]+', '-', allocator)}.parquet"


def save_run(folder: Path, run: RunResult, digest: str) -> None:
    """Write a run's log and figures; the file appears whole or not at all."""
    header = run.log.header
    about = {
        "allocator": run.allocator,
        "digest": digest,
        "metrics": run.metrics,
        "num_requests": header.num_requests,
        "budget_bytes": header.budget_bytes,
        "sample_interval_ns": header.sample_interval_ns,
        "pools": [[pool.name, pool.page_bytes] for pool in header.pools],
    }
    table = pa.Table.from_pandas(pd.DataFrame(run.log.table(), columns=list(COLUMNS)))
    table = table.replace_schema_metadata({METADATA_KEY: json.dumps(about)})
    target = run_file(folder, run.allocator)
    partial = target.with_suffix(".partial")
    pq.write_table(table, partial)
    partial.replace(target)


def load_run(folder: Path, allocator: str, digest: str) -> RunResult | None:
    """A run written before, if it is of the same cell and trace; else None."""
    source = run_file(folder, allocator)
    if not source.exists():
        return None
    try:
        table = pq.read_table(source)
    except pa.ArrowInvalid:
        return None
    about: dict[str, Any] = json.loads((table.schema.metadata or {}).get(METADATA_KEY, b"{}"))
    if about.get("digest") != digest:
        return None
    log = EventLog.from_table(_header(about), table.to_pandas()[list(COLUMNS)].to_numpy("int64"))
    return RunResult(allocator, log, about["metrics"])


def _header(about: dict[str, Any]) -> LogHeader:
    return LogHeader(
        num_requests=about["num_requests"],
        budget_bytes=about["budget_bytes"],
        sample_interval_ns=about["sample_interval_ns"],
        pools=tuple(PoolHeader(name, page_bytes) for name, page_bytes in about["pools"]),
    )
