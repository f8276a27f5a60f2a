"""The replica with the least to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from sim.router import ReplicaView, Router

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from traces.record import Request

WAITING_WEIGHT = 4
"""What a waiting sequence counts, in running ones: vLLM's data-parallel client."""


class Load(Enum):
    """What counts as load."""

    REQUESTS = "requests"
    QUEUE = "queue"
    TOKENS = "tokens"
    MEMORY = "memory"


LOADS: dict[Load, Callable[[ReplicaView], int]] = {
    Load.REQUESTS: lambda replica: replica.num_running + replica.num_waiting,
    Load.QUEUE: lambda replica: replica.num_running + WAITING_WEIGHT * replica.num_waiting,
    Load.TOKENS: lambda replica: replica.num_tokens,
    Load.MEMORY: lambda replica: replica.granted_bytes,
}


@dataclass(frozen=True, slots=True)
class LeastLoadedOptions:
    """What to compare.

    Attributes:
        by: What counts as load.
    """

    by: Load = field(
        default=Load.REQUESTS,
        metadata={
            "help": "requests in flight; queue: running + 4 x waiting; tokens of prompts and"
            " outputs so far; memory that sequences hold"
        },
    )


class LeastLoaded(Router):
    """Knows the load of every replica as it is; among equals the lowest number gets the request.

    Routers that count what they have sent and what has come back know the requests in flight at
    any time. What engines report (queue, tokens, memory) is some time old when a real router uses
    it; here it is of this instant.
    """

    name = "least-loaded"
    summary = "the replica with the fewest requests, tokens or bytes; the first of equals"
    source = (
        "requests: least-request balancing of gateways (Envoy, AIBrix); queue: data parallelism of"
        " vLLM; memory: the KV-cache-utilization scorer of llm-d"
    )
    Options = LeastLoadedOptions

    def __init__(self, options: LeastLoadedOptions) -> None:
        self._load = LOADS[options.by]

    def route(self, request: Request, replicas: Sequence[ReplicaView]) -> int:
        """See `Router.route`."""
        del request
        loads = [self._load(replica) for replica in replicas]
        return loads.index(min(loads))
