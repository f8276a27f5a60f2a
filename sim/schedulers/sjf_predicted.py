"""Shortest predicted output first: `fcfs` with a queue in another order."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import TYPE_CHECKING

from sim.queue import RankedQueue
from sim.schedulers.fcfs import FcfsOptions, FcfsScheduler

if TYPE_CHECKING:
    from sim.request import Sequence
    from sim.waiting import WaitingQueue

DRAW_BYTES = 8


@dataclass(frozen=True, slots=True)
class SjfPredictedOptions(FcfsOptions):
    """Options of `sjf-predicted`."""

    sigma: float = field(
        default=0.5,
        metadata={"help": "standard deviation of the logarithm of the error; 0 for an oracle"},
    )
    seed: int = field(default=0, metadata={"help": "seed of the errors"})

    def __post_init__(self) -> None:
        FcfsOptions.__post_init__(self)  # super() does not work where slots make the class anew
        if not 0 <= self.sigma < float("inf"):
            raise ValueError(f"sigma must be at least 0, not {self.sigma}")


class SjfPredictedScheduler(FcfsScheduler):
    """The request with the shortest predicted output enters first; nobody is preempted for it.

    Predictors of output length err by a factor, so the prediction is the true length times a
    log-normal error, drawn from the seed and the request's number. A preempted sequence keeps its
    place by that prediction. Who makes way is an option, as in `fcfs`.
    """

    name = "sjf-predicted"
    summary = "as fcfs, but the request with the shortest predicted output enters first"
    source = "SSJF, shortest job first by predicted length (AIOps at ASPLOS 2024), abstract read"
    Options = SjfPredictedOptions

    def __init__(self, options: SjfPredictedOptions) -> None:
        super().__init__(options)
        self._sigma = options.sigma
        self._seed = options.seed

    def new_queue(self) -> WaitingQueue:
        """See `Scheduler.new_queue`."""
        return RankedQueue(self._rank)

    def predicted_tokens(self, sequence: Sequence) -> int:
        """Output tokens that a sequence is expected to make, the same whenever it is asked."""
        if not self._sigma:
            return sequence.output_tokens
        error = math.exp(self._sigma * _draw(self._seed, sequence.request_id))
        return max(1, round(sequence.output_tokens * error))

    def _rank(self, sequence: Sequence) -> tuple[int, int]:
        return self.predicted_tokens(sequence), sequence.request_id


def _draw(seed: int, number: int) -> float:
    """A standard normal variate of a seed and a number, by inverting its distribution.

    Not from a generator: its stream would depend on the order of arrivals, and on its version.
    """
    digest = hashlib.blake2b(f"{seed} {number}".encode(), digest_size=DRAW_BYTES).digest()
    uniform = (int.from_bytes(digest, "big") + 0.5) / (1 << 8 * DRAW_BYTES)
    return NormalDist().inv_cdf(uniform)
