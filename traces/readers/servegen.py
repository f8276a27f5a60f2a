"""ServeGen's archives: rates and lengths by client and window, from which requests are drawn."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from traces.archive import members
from traces.bounds import MOST_DRAWN
from traces.options import Options, about
from traces.record import DroppedRows, Trace, TraceError
from traces.renewal import GammaGaps, Gaps, WeibullGaps, arrivals_s
from traces.wording import shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from traces.record import Int64Array

    Floats = NDArray[np.float64]

WINDOW_S = 600
NS_PER_S = 1e9
COLUMNS = 6
PATTERNS: dict[str, Callable[[float], Gaps]] = {"Gamma": GammaGaps, "Weibull": WeibullGaps}
_MEMBER = re.compile(r"chunk-(\d+)-(trace\.csv|dataset\.json)")
_PAIR = re.compile(r"\s*(\d{1,9})\s*:\s*(\d[\d.eE+-]*)\s*")
YES, NO = "yes", "no"
NO_LENGTHS = "requests whose lengths no table gives"
LAST_S, MOST_RATE, SHAPES = 1e9, 1e6, (1e-3, 1e6)


@dataclass(frozen=True, slots=True)
class Window:
    """Arrivals of a client in ten minutes: when they start, how many a second, what gaps."""

    start_s: float
    rate: float
    gaps: Gaps


@dataclass(frozen=True, slots=True)
class Lengths:
    """A distribution of token counts.

    Attributes:
        values: Token counts, int64, shape (n,).
        upto: Probability of each or a smaller one, shape (n,), the last 1.
    """

    values: Int64Array
    upto: Floats

    def draw(self, count: int, rng: np.random.Generator) -> Int64Array:
        """Independent counts, each at least 1, shape (count,)."""
        drawn = self.values[np.searchsorted(self.upto, rng.random(count), side="right")]
        return np.maximum(1, drawn)


@dataclass(frozen=True, slots=True)
class Client:
    """What one client sends.

    Attributes:
        number: Its number in the archive.
        windows: Those in which it sends anything.
        tables: (start in seconds, prompts, outputs), by start; None where a table is empty.
    """

    number: int
    windows: tuple[Window, ...]
    tables: tuple[tuple[float, Lengths | None, Lengths | None], ...]

    @property
    def expected(self) -> float:
        """Requests that it is expected to send."""
        return sum(window.rate for window in self.windows) * WINDOW_S

    def lengths_at(self, start_s: float) -> tuple[Lengths, Lengths] | None:
        """Prompts and outputs in force then; None if the archive has none for that time."""
        current = [table for table in self.tables if table[0] <= start_s]
        if not current or current[-1][1] is None or current[-1][2] is None:
            return None
        return current[-1][1], current[-1][2]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServegenReader(Options):
    """Draws a day of requests; equal options and archives give equal requests.

    In each window of 600 s a client's arrivals are a stationary renewal process with the table's
    rate, and gaps of its kind (gamma or Weibull) and shape; the scale follows from the rate.
    Prompts and outputs are drawn independently from the client's tables in force: the archive says
    nothing on how they go together. Times count from midnight, so that a window of the day can be
    cut out. A client draws from a generator of its own, so leaving others out changes nothing.
    """

    name: ClassVar[str] = "servegen"
    description: ClassVar[str] = (
        "ServeGen's archives (tar.gz): rates and lengths by client and window, sampled"
    )
    source: ClassVar[str] = "https://github.com/alibaba/ServeGen (arXiv 2505.09999)"

    seed: int = field(default=0, metadata=about("seed of the sampling", low=0))
    clients: int = field(default=0, metadata=about("only the busiest so many; 0: all", low=0))
    tenants: str = field(
        default=NO, metadata=about("whether each client is a tenant", choices=(YES, NO))
    )

    def sniff(self, head: str) -> bool:  # noqa: ARG002
        """Never: an archive is no text."""
        return False

    def sniff_member(self, name: str) -> bool:
        """Whether an archive with a file of this name is one of ServeGen's."""
        return _part_of(name) is not None

    def read(self, path: Path) -> Trace:
        """Read the tables, and draw.

        Raises:
            TraceError: No archive of ServeGen's, or a table that is malformed, by member and line.
        """
        clients = _clients(path)
        clients.sort(key=lambda client: (-client.expected, client.number))
        kept = clients[: self.clients or None]
        if sum(client.expected for client in kept) > MOST_DRAWN:
            raise TraceError(f"{path}: its rates stand for more than {MOST_DRAWN:,} requests")
        parts = [_Drawn.of(client, self.seed) for client in kept]
        if not sum(len(part.time_s) for part in parts):
            raise TraceError(f"{path}: no client sends anything")
        return self._trace(path, kept, parts)

    def _trace(self, path: Path, clients: list[Client], parts: list[_Drawn]) -> Trace:
        time_s = np.concatenate([part.time_s for part in parts])
        order = np.argsort(time_s, kind="stable")
        tenants: tuple[str, ...] = ()
        if self.tenants == YES:
            places = np.repeat(np.arange(len(parts)), [len(part.time_s) for part in parts])[order]
            names = [f"client-{client.number}" for client in clients]
            tenants = tuple(names[place] for place in places.tolist())
        unknown = sum(part.without_lengths for part in parts)
        return Trace(
            name=path.name,
            prompt_tokens=np.concatenate([part.prompts for part in parts])[order],
            output_tokens=np.concatenate([part.outputs for part in parts])[order],
            arrival_ns=np.rint(time_s[order] * NS_PER_S).astype(np.int64),
            tenants=tenants,
            dropped=(DroppedRows(NO_LENGTHS, unknown),) * bool(unknown),
        )


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Requests of one client: columns of equal length, and how many have no lengths."""

    time_s: Floats
    prompts: Int64Array
    outputs: Int64Array
    without_lengths: int

    @classmethod
    def of(cls, client: Client, seed: int) -> _Drawn:
        """Draw a client's day, window by window."""
        rng = np.random.default_rng((seed, client.number))
        times: list[Floats] = [np.zeros(0)]
        lengths: list[tuple[Int64Array, Int64Array]] = [(np.zeros(0, np.int64),) * 2]
        unknown = 0
        for window in client.windows:
            arrived = arrivals_s(window.gaps, window.rate, WINDOW_S, rng)
            tables = client.lengths_at(window.start_s)
            if tables is None:
                unknown += len(arrived)
                continue
            times.append(window.start_s + arrived)
            lengths.append((tables[0].draw(len(arrived), rng), tables[1].draw(len(arrived), rng)))
        prompts, outputs = (np.concatenate(column) for column in zip(*lengths, strict=True))
        return cls(np.concatenate(times), prompts, outputs, unknown)


def _part_of(name: str) -> tuple[int, str] | None:
    found = _MEMBER.fullmatch(PurePosixPath(name).name)
    return None if found is None else (int(found[1]), found[2])


def _clients(path: Path) -> list[Client]:
    """Every client of the archive; each must have both files, once."""
    windows: dict[int, tuple[Window, ...]] = {}
    tables: dict[int, tuple[tuple[float, Lengths | None, Lengths | None], ...]] = {}
    for name, content in members(path, lambda name: _part_of(name) is not None):
        number, kind = _part_of(name) or (0, "")
        where = f"{path}, {name}"
        if number in (windows if kind == "trace.csv" else tables):
            raise TraceError(f"{where}: client {number} is there twice; give one data set")
        if kind == "trace.csv":
            windows[number] = _windows(where, content)
        else:
            tables[number] = _tables(where, content)
    if not windows:
        raise TraceError(f"{path} holds no chunk-N-trace.csv as ServeGen's archives do")
    for number in sorted(windows.keys() ^ tables.keys()):
        raise TraceError(f"{path}: client {number} lacks its trace or its dataset")
    return [Client(number, windows[number], tables[number]) for number in sorted(windows)]


def _windows(where: str, content: bytes) -> tuple[Window, ...]:
    """The rows of a trace file: time, rate, cv, pattern and its two arguments."""
    found = []
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), start=1):
        cells = line.split(",")
        try:
            start_s, rate, _, shape = (float(cells[i]) for i in (0, 1, 2, 4))
        except (ValueError, IndexError):
            raise TraceError(f"{where}, line {number}: {shown(line)} is no window") from None
        if not (len(cells) == COLUMNS and 0 <= start_s < LAST_S and 0 <= rate < MOST_RATE):
            raise TraceError(f"{where}, line {number}: {shown(line)} is no window")
        if rate:
            if cells[3] not in PATTERNS or not SHAPES[0] <= shape <= SHAPES[1]:
                raise TraceError(f"{where}, line {number}: {shown(cells[3])} is no pattern of gaps")
            found.append(Window(start_s, rate, PATTERNS[cells[3]](shape)))
    return tuple(found)


def _tables(where: str, content: bytes) -> tuple[tuple[float, Lengths | None, Lengths | None], ...]:
    """The windows of a dataset file, in order of time."""
    try:
        document = json.loads(content)
        rows = sorted((float(start), each) for start, each in document.items())
        texts = [(start, each["input_tokens"], each["output_tokens"]) for start, each in rows]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise TraceError(f"{where} is no table of lengths by window") from None
    return tuple((s, _lengths(where, prompts), _lengths(where, out)) for s, prompts, out in texts)


def _lengths(where: str, text: object) -> Lengths | None:
    """Read `{n: p, ...}`, a dict as Python writes it; None if it is empty.

    It is taken apart as text: nothing in it is ever evaluated.
    """
    inner = text.strip() if isinstance(text, str) else ""
    if not (inner.startswith("{") and inner.endswith("}")):
        raise TraceError(f"{where}: {shown(str(text))} is no table of token counts")
    if not inner[1:-1].strip():
        return None
    values, weights = [], []
    for part in inner[1:-1].split(","):
        pair = _PAIR.fullmatch(part)
        try:
            values.append(int(pair[1]))  # type: ignore[index] # what is no pair ends below
            weights.append(float(pair[2]))  # type: ignore[index]
        except (TypeError, ValueError):
            raise TraceError(f"{where}: {shown(part)} is no token count and probability") from None
    upto = np.cumsum(weights)
    if not (np.isfinite(upto[-1]) and upto[-1] > 0):
        raise TraceError(f"{where}: the probabilities of a table sum to {upto[-1]}")
    return Lengths(np.array(values, np.int64), upto / upto[-1])


READER = ServegenReader()
