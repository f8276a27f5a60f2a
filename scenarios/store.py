"""Runs on disk: written when they end, read back instead of being run again."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from scenarios.errors import UserError
from scenarios.result import RunResult
from scenarios.whole_file import appearing
from sim.event_log import EventLog, LogHeader, PoolHeader, TenantHeader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")

COLUMNS = ("time_ns", "kind", "subject", "a", "b", "c")
METADATA_KEY = b"twinpool"
MOST_NAME = 120
DAMAGE = (OSError, pa.ArrowException, KeyError, TypeError, ValueError, OverflowError)
"""What reading raises where a file is not what was written: not a table, or without our header."""


def run_file(folder: Path, allocator: str) -> Path:
    """Where a run of an allocator lies in a result folder."""
    plain = re.sub(r"[^A-Za-z0-9.=_-]+", "-", allocator)
    if plain != re.sub("[:,]", "-", allocator) or len(plain) > MOST_NAME:
        # Signs that no name of a file should hold, or more of them than it can: two texts that
        # look alike then still have two files.
        plain = f"{plain[:MOST_NAME]}-{hashlib.sha256(allocator.encode()).hexdigest()[:8]}"
    return folder / f"events-{plain}.parquet"


@dataclass(frozen=True, slots=True)
class KeptRuns:
    """Runs kept in a folder, if there is one.

    Attributes:
        folder: Where they lie.
        digests: Of the cells, in their order.
        saved: Those that lie there whole.
    """

    folder: Path | None
    digests: list[str]
    saved: set[int] = field(default_factory=set)

    def load(self, index: int, allocator: str) -> RunResult | None:
        """A run that is there, of the same cell and trace."""
        if self.folder is None:
            return None
        run = load_run(self.folder, allocator, self.digests[index])
        if run is not None:
            self.saved.add(index)
        return run

    def save(self, index: int, run: RunResult) -> None:
        """Keep a run, unless it is."""
        if self.folder is not None and index not in self.saved:
            save_run(self.folder, run, self.digests[index])
            self.saved.add(index)


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
        "tenants": [[tenant.name, tenant.weight] for tenant in header.tenants],
        "num_replicas": header.num_replicas,
    }
    table = pa.Table.from_pandas(pd.DataFrame(run.log.table(), columns=list(COLUMNS)))
    table = table.replace_schema_metadata({METADATA_KEY: json.dumps(about)})
    with appearing(run_file(folder, run.allocator)) as partial:
        pq.write_table(table, partial)


def load_run(folder: Path, allocator: str, digest: str) -> RunResult | None:
    """A run written before, if it is of the same cell and trace; else None."""
    source = run_file(folder, allocator)
    if not source.exists():
        return None
    try:
        if _about(pq.read_schema(source)).get("digest") != digest:
            return None
        return _read(source)
    except DAMAGE:
        return None


def kept_runs(folder: Path) -> dict[str, Path]:
    """The runs in a result folder: allocator to file, in order of name.

    Raises:
        UserError: No such folder, no run in it, or a file that is none.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: give the --out folder of `twinpool replay`")
    found = {}
    for path in sorted(folder.glob("events-*.parquet")):
        about = _read_or_refuse(path, lambda path: _about(pq.read_schema(path)))
        if not isinstance(about.get("allocator"), str):
            raise UserError(f"{path} is no run of `twinpool replay`: remove it")
        found[about["allocator"]] = path
    if not found:
        raise UserError(f"{folder} holds no runs: give the --out folder of `twinpool replay`")
    return found


def read_kept(path: Path) -> RunResult:
    """A run as `save_run` wrote it.

    Raises:
        UserError: If the file is damaged.
    """
    return _read_or_refuse(path, _read)


def _read_or_refuse(path: Path, read: Callable[[Path], T]) -> T:
    try:
        return read(path)
    except DAMAGE:
        raise UserError(f"{path} is damaged: run `twinpool replay` again") from None


def _read(path: Path) -> RunResult:
    table = pq.read_table(path)
    about = _about(table.schema)
    columns = [table.column(name).cast("int64").fill_null(-1).to_numpy() for name in COLUMNS]
    log = EventLog.from_table(_header(about), np.column_stack(columns))
    if log.sha256() != about["metrics"]["event_log_sha256"]:
        raise ValueError("its rows are not those that were written")
    return RunResult(about["allocator"], log, about["metrics"])


def _about(schema: Any) -> dict[str, Any]:  # noqa: ANN401 - Arrow carries no types
    about = json.loads((schema.metadata or {}).get(METADATA_KEY, b"{}"))
    if not isinstance(about, dict):
        raise TypeError("its header is no object")
    return about


def _header(about: dict[str, Any]) -> LogHeader:
    return LogHeader(
        num_requests=about["num_requests"],
        budget_bytes=about["budget_bytes"],
        sample_interval_ns=about["sample_interval_ns"],
        pools=tuple(PoolHeader(name, page_bytes) for name, page_bytes in about["pools"]),
        num_replicas=about["num_replicas"],
        # Runs that were kept before logs knew tenants have none.
        tenants=tuple(TenantHeader(name, weight) for name, weight in about.get("tenants", ())),
    )
