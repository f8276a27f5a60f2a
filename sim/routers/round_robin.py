"""One replica after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.router import ReplicaView, Router

if TYPE_CHECKING:
    from collections.abc import Sequence

    from traces.record import Request


@dataclass(frozen=True, slots=True)
class RoundRobinOptions:
    """There is nothing to choose."""


class RoundRobin(Router):
    """Knows nothing of requests or replicas."""

    name = "round-robin"
    summary = "one replica after the other, whatever arrives"
    source = "the default of vLLM's production stack and of load balancers in general"
    Options = RoundRobinOptions

    def __init__(self, options: RoundRobinOptions) -> None:
        del options
        self._num_routed = 0

    def route(self, request: Request, replicas: Sequence[ReplicaView]) -> int:
        """See `Router.route`."""
        del request
        number = self._num_routed % len(replicas)
        self._num_routed += 1
        return number
