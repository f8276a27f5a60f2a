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
    """Two different replicas are drawn; fewer requests in flight win, of equals the first drawn."""

    name = "power-of-two"
    summary = "the one with fewer requests of two replicas drawn at random"
    source = "Mitzenmacher, 2001; power_of_two of the SGLang gateway"
    Options = PowerOfTwoOptions

    def __init__(self, options: PowerOfTwoOptions) -> None:
        self._random = Random(options.seed)  # noqa: S311 - a simulation

    def route(self, request: Request, replicas: Sequence[ReplicaView]) -> int:
        """See `Router.route`."""
        del request
        first = self._draw(len(replicas))
        if len(replicas) == 1:
            return first
        second = self._draw(len(replicas) - 1)
        second += second >= first
        loads = [replicas[n].num_running + replicas[n].num_waiting for n in (first, second)]
        return second if loads[1] < loads[0] else first

    def _draw(self, count: int) -> int:
        """A number below a count; `random()` is the one method whose stream never changes."""
        return int(self._random.random() * count)
