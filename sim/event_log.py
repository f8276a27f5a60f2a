"""What happened when: decisions and samples as rows of integers.

A row is (time_ns, kind, subject, a, b, c); `EventKind` says what the last four mean. The log holds
decisions, not steps, and no floating-point number, so that equal runs have equal bytes.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from allocator.spill import Spill

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

NUM_COLUMNS = 6
NO_ROWS = np.zeros((0, NUM_COLUMNS), dtype=np.int64)
BLOCK_ROWS = 1 << 14
"""Rows that are written out together: 768 KiB."""

NO_SUBJECT = -1


class EventKind(IntEnum):
    """Kinds of rows, with what subject, a, b and c mean in each.

    A replica is named only where there are several.
    """

    ARRIVAL = 0
    """request, prompt tokens, output tokens, tenant"""
    REJECTION = 1
    """request, RejectionReason, tokens asked, most tokens one sequence can have"""
    ADMISSION = 2
    """request, tokens given room, earlier preemptions, -"""
    CHUNK = 3
    """request, prompt tokens computed in the step that starts now, tokens computed before, -"""
    FIRST_TOKEN = 4
    """request, -, -, -"""
    PREEMPTION = 5
    """request, computed tokens it had, output tokens made so far, Loss"""
    OOM = 6
    """request, pool, pages asked, pages free"""
    MIGRATION = 7
    """-, donor pool, recipient pool, bytes"""
    MIGRATION_BLOCKED = 8
    """-, -, recipient pool, -: the donor had the bytes free, but in no whole span"""
    COMPLETION = 9
    """request, output tokens, preemptions, failed allocations"""
    QUEUE_SAMPLE = 10
    """replica, running sequences, waiting sequences, granted bytes"""
    WASTE_SAMPLE = 11
    """replica, internal, external, stranded waste in bytes"""
    POOL_SAMPLE = 12
    """pool, pages live, pages held, -"""
    END = 13
    """replica, peak of granted bytes, footprint in bytes, -"""
    PREFIX_HIT = 14
    """request, tokens whose pages were found when it entered, tokens in all, earlier preemptions"""
    EVICTION = 15
    """request, pool, pages lost, request that asked: the open loop of the paper only"""
    FREED_BY_OTHER = 16
    """request, pool, pages lost, request that gave them back: the open loop only"""
    SWAP_OUT = 17
    """request, bytes copied to the host, bytes the host then holds, nanoseconds on the link"""
    SWAP_IN = 18
    """request, bytes copied back, bytes the host then holds, nanoseconds on the link"""
    ROUTED = 19
    """request, replica, -, -: just before its arrival there, where there are several"""
    CACHE_SAMPLE = 20
    """pool, free pages that keep a text, those that keep a state, -: where prefixes are shared"""
    EVICTIONS = 21
    """-, tokens whose KV was evicted in the run, states, those whose KV stayed: likewise"""
    MADE_WAY = 22
    """request preempted just before, request that asked for room, -, -: if there are tenants"""


class Loss(IntEnum):
    """What becomes of the tokens that a preempted sequence has computed."""

    RECOMPUTED = 0
    """They are computed again."""
    SWAPPED = 1
    """None is lost: they wait in the host's memory."""
    HOST_FULL = 2
    """They would wait there, had it room; they are computed again."""
    CHEAPER = 3
    """They are computed again, since that costs less than copying them twice."""


class RejectionReason(IntEnum):
    """Why a request was refused."""

    TOO_LONG = 0
    """More tokens than one sequence could have if it were alone."""
    OUTGREW = 1
    """Alone in memory, it still could not be given what it asked for."""
    OVER_QUOTA = 2
    """Alone, it would need more memory than its tenant may ever have."""
    THROTTLED = 3
    """Its tenant's bucket held too few tokens."""
    QUEUE_FULL = 4
    """As many waited already as may wait."""


@dataclass(frozen=True, slots=True)
class PoolHeader:
    """A pool of the run: its name and the bytes of one page."""

    name: str
    page_bytes: int


@dataclass(frozen=True, slots=True)
class TenantHeader:
    """A tenant of the run: its name and its weight."""

    name: str
    weight: float


@dataclass(frozen=True, slots=True)
class LogHeader:
    """What a reader of the log must know besides its rows.

    Attributes:
        num_requests: Requests of the trace.
        budget_bytes: Physical bytes the allocator may use, in all replicas.
        sample_interval_ns: Distance of samples on the grid of simulated time; it doubles in runs
            that last several times as long as their arrivals.
        pools: The pools, in the order of their numbers; those of replica 0 first.
        num_replicas: Replicas; each has an equal share of budget and pools.
        tenants: The tenants, in the order of their numbers; none where the trace names none.
    """

    num_requests: int
    budget_bytes: int
    sample_interval_ns: int
    pools: tuple[PoolHeader, ...]
    num_replicas: int = 1
    tenants: tuple[TenantHeader, ...] = ()

    def described(self) -> dict[str, Any]:
        """Its fields, but for one replica and no tenants: most logs are like that."""
        fields = asdict(self)
        if self.num_replicas == 1:
            del fields["num_replicas"]
        if not self.tenants:
            del fields["tenants"]
        return fields


class LogWriter(Protocol):
    """Where a replica writes its rows."""

    @property
    def header(self) -> LogHeader:
        """What a reader must know besides the rows."""

    @property
    def num_rows(self) -> int:
        """Rows so far, of all who write there."""

    def append(  # noqa: PLR0913, PLR0917 - a row has six columns
        self, time_ns: int, kind: EventKind, subject: int, a: int = 0, b: int = 0, c: int = 0
    ) -> None:
        """Add a row."""


class EventLog:
    """Rows in order of time; the only source of metrics.

    Rows go to a temporary file in blocks, so memory does not grow with the length of a run; short
    logs never leave memory. What reads all rows reads them block by block, but for `table`.

    Attributes:
        header: What a reader must know besides the rows.
        num_rows: Rows so far.
    """

    def __init__(self, header: LogHeader) -> None:
        self.header = header
        self.num_rows = 0
        self._cells: list[int] = []  # a list gains a row faster than an array
        self._spill = Spill()  # the blocks before
        self._made = 0, NO_ROWS  # the cells as rows, and at how many rows that was

    @classmethod
    def from_table(cls, header: LogHeader, table: NDArray[np.int64]) -> EventLog:
        """The log whose `table()` this was, int64, shape (rows, 6)."""
        log = cls(header)
        log._take(table)
        return log

    def append(  # noqa: PLR0913, PLR0917 - a row has six columns
        self, time_ns: int, kind: EventKind, subject: int, a: int = 0, b: int = 0, c: int = 0
    ) -> None:
        """See `LogWriter.append`."""
        self._cells += (time_ns, kind, subject, a, b, c)
        self.num_rows += 1
        if not self.num_rows % BLOCK_ROWS:
            self._spill.write(array("q", self._cells))
            self._cells.clear()

    def __len__(self) -> int:
        return self.num_rows

    def blocks(self) -> Iterator[NDArray[np.int64]]:
        """All rows in order, some at a time, int64, shape (rows, 6) each; none is empty."""
        for number in range(len(self._spill)):
            cells = np.frombuffer(self._spill.read(number), dtype=np.int64)
            yield cells.reshape(-1, NUM_COLUMNS)
        if self._cells:
            yield self._rows_in_no_block()

    def _rows_in_no_block(self) -> NDArray[np.int64]:
        """Made once for all that read a log which does not grow."""
        made_at, rows = self._made
        if made_at != self.num_rows:
            rows = np.array(self._cells, dtype=np.int64).reshape(-1, NUM_COLUMNS)
            rows.flags.writeable = False
            self._made = self.num_rows, rows
        return rows

    def table(self) -> NDArray[np.int64]:
        """All rows, int64, shape (rows, 6), read-only."""
        table = np.concatenate([NO_ROWS, *self.blocks()])
        table.flags.writeable = False
        return table

    def of(self, kind: EventKind) -> NDArray[np.int64]:
        """The rows of one kind, int64, shape (rows, 6)."""
        return np.concatenate([NO_ROWS, *(rows[rows[:, 1] == kind] for rows in self.blocks())])

    def to_bytes(self) -> bytes:
        """Header and rows as bytes, the same on every machine."""
        return b"".join(self._parts())

    def sha256(self) -> str:
        """SHA-256 (hex) of `to_bytes`."""
        digest = hashlib.sha256()
        for part in self._parts():
            digest.update(part)
        return digest.hexdigest()

    def __getstate__(self) -> tuple[LogHeader, NDArray[np.int64]]:
        """A log that travels to another process travels whole."""
        return self.header, self.table()

    def __setstate__(self, state: tuple[LogHeader, NDArray[np.int64]]) -> None:
        header, table = state
        self.__init__(header)  # type: ignore[misc] # as a new one
        self._take(table)

    def _take(self, table: NDArray[np.int64]) -> None:
        """Let the rows of a table be those of this log, which has none."""
        whole = len(table) - len(table) % BLOCK_ROWS
        for start in range(0, whole, BLOCK_ROWS):
            rows = np.ascontiguousarray(table[start : start + BLOCK_ROWS], dtype=np.int64)
            self._spill.write(array("q", rows.tobytes()))
        self._cells = table[whole:].ravel().tolist()
        self.num_rows = len(table)

    def _parts(self) -> Iterator[bytes]:
        yield json.dumps(self.header.described(), sort_keys=True).encode() + b"\n"
        for rows in self.blocks():
            yield rows.astype("<i8").tobytes()
