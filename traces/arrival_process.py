"""When requests arrive that carry no times: `poisson:rate=5`, `closed-loop:clients=64`, ..."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from traces.options import Options, about, build, split_spec
from traces.record import TraceError
from traces.timestamps import MAX_ARRIVAL_NS
from traces.wording import nearest_first, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from traces.record import Int64Array

NS_PER_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class OpenLoop(Options):
    """Arrivals that do not wait for the server.

    Attributes:
        rate: Mean requests a second.
    """

    rate: float = field(metadata=about("requests a second", above=0))

    @abstractmethod
    def gaps_s(self, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Seconds between arrivals, shape (count,); the first leads from time 0."""

    def arrival_ns(self, count: int, rng: np.random.Generator) -> Int64Array:
        """Arrivals, int64 nanoseconds, shape (count,), never falling.

        Raises:
            TraceError: The rate is so low that the last arrival lies beyond 146 years.
        """
        return cumulative_ns(self.name, self.gaps_s(count, rng))


@dataclass(frozen=True, slots=True)
class Poisson(OpenLoop):
    """Independent exponential gaps, the first one before the first request."""

    name: ClassVar[str] = "poisson"
    description: ClassVar[str] = "memoryless arrivals"

    def gaps_s(self, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Exponential gaps with mean 1 / rate."""
        return rng.exponential(1 / self.rate, count)


@dataclass(frozen=True, slots=True)
class Gamma(OpenLoop):
    """Independent gamma gaps: shape 1 / cv**2, mean 1 / rate.

    Attributes:
        cv: Coefficient of variation of the gaps; 1 is Poisson, above it arrivals cluster.
    """

    name: ClassVar[str] = "gamma"
    description: ClassVar[str] = "clustered (cv above 1) or regular (cv below 1) arrivals"

    cv: float = field(metadata=about("coefficient of variation", low=0.01, high=100))

    def gaps_s(self, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Gamma gaps with mean 1 / rate and the wanted coefficient of variation."""
        return rng.gamma(1 / self.cv**2, self.cv**2 / self.rate, count)


@dataclass(frozen=True, slots=True)
class Deterministic(OpenLoop):
    """Equal gaps, the first request at time 0."""

    name: ClassVar[str] = "deterministic"
    description: ClassVar[str] = "equal gaps"

    def gaps_s(self, count: int, rng: np.random.Generator) -> NDArray[np.float64]:  # noqa: ARG002
        """Gaps of 1 / rate, none before the first request; draws nothing."""
        return np.where(np.arange(count) > 0, 1 / self.rate, 0.0)


@dataclass(frozen=True, slots=True)
class ClosedLoop(Options):
    """Clients that each send a request when their last one ended.

    Attributes:
        clients: How many there are.
    """

    name: ClassVar[str] = "closed-loop"
    description: ClassVar[str] = "N clients, each waiting for its answer"

    clients: int = field(metadata=about("clients", low=1, high=10**9))


ArrivalProcess = OpenLoop | ClosedLoop
_KINDS: dict[str, type[OpenLoop | ClosedLoop]] = {
    kind.name: kind for kind in (Poisson, Gamma, Deterministic, ClosedLoop)
}


def parse_arrival_process(text: str) -> ArrivalProcess:
    """Read `poisson:rate=R`, `gamma:rate=R,cv=C`, `deterministic:rate=R`, `closed-loop:clients=N`.

    Raises:
        TraceError: An unknown process or option, or a value out of range.
    """
    name, values = split_spec(text)
    if name not in _KINDS:
        known = nearest_first(name, _KINDS)
        raise TraceError(f"unknown arrival process {shown(name)}; the known ones are {known}")
    return build(_KINDS[name], values, {})


def cumulative_ns(name: str, gaps_s: NDArray[np.float64]) -> Int64Array:
    """Gaps in seconds as arrivals in int64 nanoseconds, shape as given.

    Raises:
        TraceError: The last one lies beyond 146 years.
    """
    arrivals = np.cumsum(gaps_s) * NS_PER_SECOND
    if arrivals.size and not arrivals[-1] < MAX_ARRIVAL_NS:
        raise TraceError(f"{name}: the last request would arrive after 146 years; raise the rate")
    return np.rint(arrivals).astype(np.int64)
