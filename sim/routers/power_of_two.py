"""The less loaded of two replicas drawn at random."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from sim.router import ReplicaView, Router

if TYPE_CHECKING:
    from collections.abc import Sequence

    from traces.record import Request


@dataclass(frozen=True, slots=True)
class PowerOfTwoOptions:
    """How to draw.

    Attributes:
        seed: Of the draws.
    """

    seed: int = field(default=0, metadata={"help": "of the draws"})


class PowerOfTwo(Router):
    """Two different replicas are drawn; fewer requests in flight win, and of equals the first."""

    name = "power-of-two"
    summary = "the one with fewer requests of two replicas drawn at random"
    source = "Mitzenmacher, 2001; power_of_two of the SGLang gateway"
    Options = PowerOfTwoOptions

    def __init__(self, options: PowerOfTwoOptions) -> None:
        self._random = Random(options.seed)  # noqa: S311 - a simulation

    def route(self, request: Request, replicas: Sequence[ReplicaView]) -> int:
        """See `Router.route`."""
        del request
        drawn = self._random.sample(range(len(replicas)), min(2, len(replicas)))
        return min(drawn, key=lambda n: replicas[n].num_running + replicas[n].num_waiting)
