"""A small run in a folder, and logs that a real engine might have written of the same requests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scenarios.result import RunResult
from scenarios.store import save_run
from sim.event_log import NO_SUBJECT, EventKind, EventLog, LogHeader, PoolHeader

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

S = 10**9
START_NS = 5 * S
"""The run's first arrival; the log's clock starts elsewhere."""

NS_PER = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


@dataclass(frozen=True)
class Served:
    """What became of requests, in nanoseconds since the first arrival; one row each."""

    arrival: Ints
    first: Ints
    last: Ints
    prompt: Ints
    output: Ints

    def __len__(self) -> int:
        return len(self.arrival)


def served(num_requests: int = 40, seed: int = 0) -> Served:
    """Requests with times of whole microseconds; one of them makes a single token."""
    rng = np.random.default_rng(seed)
    arrival = np.concatenate(([0], np.cumsum(rng.integers(1, 300_000, num_requests - 1))))
    first = arrival + rng.integers(1_000, 90_000, num_requests)
    output = rng.integers(2, 60, num_requests)
    output[num_requests // 2] = 1
    last = first + (output - 1) * rng.integers(5_000, 30_000, num_requests)
    prompt = rng.integers(1, 3000, num_requests)
    return Served(arrival * 1000, first * 1000, last * 1000, prompt, output)


def log_of(case: Served, rejected: tuple[int, ...] = ()) -> EventLog:
    """The log of a run in which so it went; two pools are half full until they fill up."""
    pools = (PoolHeader("kv", 100), PoolHeader("state", 300))
    log = EventLog(LogHeader(len(case), 10_000, S, pools))
    rows: list[tuple[int, ...]] = []
    for i in range(len(case)):
        rows.append((case.arrival[i], EventKind.ARRIVAL, i, case.prompt[i], case.output[i]))
        if i in rejected:
            rows.append((case.arrival[i], EventKind.REJECTION, i, 0, 0, 0))
            continue
        rows.append((case.first[i], EventKind.FIRST_TOKEN, i))
        rows.append((case.last[i], EventKind.COMPLETION, i, case.output[i], i % 2, 0))
    end = int(case.last.max())
    for second in range(1, end // S + 1):
        live = 20 if second < end // S // 2 else 40
        rows.append((second * S, EventKind.POOL_SAMPLE, 0, live, 40))
        rows.append((second * S, EventKind.POOL_SAMPLE, 1, 10, 20))
    rows.append((end, EventKind.END, NO_SUBJECT, 1, 1))
    for row in sorted(rows, key=lambda row: row[0]):
        log.append(int(row[0]) + START_NS, EventKind(row[1]), *map(int, row[2:]))
    return log


def save(folder: Path, log: EventLog, allocator: str = "vllm", stability: str = "stable") -> Path:
    """A result folder as `twinpool replay --out` leaves it."""
    folder.mkdir(exist_ok=True)
    metrics = {"stability": stability, "event_log_sha256": log.sha256()}
    save_run(folder, RunResult(allocator, log, metrics), "digest")
    (folder / "result.json").write_text(json.dumps({"seed": 7, "trace": "conv.csv"}))
    return folder


@dataclass(frozen=True)
class Writing:
    """How a log writes its requests.

    Attributes:
        unit: Of all times.
        zero_ns: Its clock at the first arrival.
        has_ids: Whether rows carry request numbers.
        order: The order of the rows; None keeps that of arrival.
        as_jsonl: JSON Lines instead of CSV.
    """

    unit: str = "s"
    zero_ns: int = 0
    has_ids: bool = True
    order: tuple[int, ...] | None = None
    as_jsonl: bool = False

    @property
    def columns(self) -> str:
        """What `--columns` says of such a log."""
        ids = "id=rid," if self.has_ids else ""
        times = f"arrival=t_in:{self.unit},first_token=t_1:{self.unit},last_token=t_n:{self.unit}"
        return f"{ids}{times},prompt=p,output=o"

    def write(self, path: Path, case: Served, without: tuple[int, ...] = ()) -> Path:
        """Write a log; the requests in `without` got no tokens."""
        rows = [
            self._row(case, i, is_served=i not in without) for i in self.order or range(len(case))
        ]
        if self.as_jsonl:
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        else:
            lines = [",".join(str(value) for value in row.values()) for row in rows]
            path.write_text("\n".join([",".join(rows[0]), *lines]) + "\n")
        return path

    def _row(self, case: Served, i: int, *, is_served: bool) -> dict[str, object]:
        times = [self._time(int(t[i])) for t in (case.arrival, case.first, case.last)]
        if not is_served:
            times[1:] = ["", ""]
        row = dict(zip(("t_in", "t_1", "t_n"), times, strict=True))
        ids = {"rid": i} if self.has_ids else {}
        output = int(case.output[i]) if is_served else 0
        return {**ids, **row, "p": int(case.prompt[i]), "o": output}

    def _time(self, since_first_ns: int) -> str:
        """Exact decimals: no time passes through a float."""
        whole, rest = divmod(since_first_ns + self.zero_ns, NS_PER[self.unit])
        digits = len(str(NS_PER[self.unit])) - 1
        return f"{whole}.{rest:0{digits}d}" if digits else str(whole)
