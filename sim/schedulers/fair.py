"""Tenants share the engine by their weights: `fcfs` with a queue that counts service."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from sim.fair_queue import DeficitQueue, Prices, VirtualTokenQueue
from sim.schedulers.fcfs import FcfsOptions, FcfsScheduler
from sim.victims import RULES

if TYPE_CHECKING:
    from sim.request import Sequence
    from sim.waiting import WaitingQueue


class Sharing(Enum):
    """Names of the ways to share."""

    VTC = "vtc"
    DRR = "drr"


@dataclass(frozen=True, slots=True)
class FairOptions(FcfsOptions):
    """Options of `fair`."""

    policy: Sharing = field(
        default=Sharing.VTC,
        metadata={"help": "vtc: virtual token counters; drr: deficit round robin"},
    )
    prompt_price: float = field(
        default=1.0, metadata={"help": "what a token of a prompt counts as service"}
    )
    output_price: float = field(
        default=2.0, metadata={"help": "what an output token counts as service"}
    )
    quantum: int = field(
        default=2048, metadata={"help": "of drr: service a turn, for each unit of weight"}
    )

    def __post_init__(self) -> None:
        FcfsOptions.__post_init__(self)  # super() does not work where slots make the class anew
        prices = (self.prompt_price, self.output_price)
        if not all(0 <= price < float("inf") for price in prices) or not any(prices):
            raise ValueError("prices must be at least 0, and one of them above")
        if self.quantum < 1:
            raise ValueError(f"quantum must be at least 1, not {self.quantum}")


class FairScheduler(FcfsScheduler):
    """Among tenants that wait, the one with the least service for its weight is admitted first.

    Service is tokens of prompts and of output, each at a price; within a tenant it is first come,
    first served. It is work-conserving: whoever waits alone gets all there is. When memory is full
    the tenant furthest over its share makes way, that is, the one whose running sequences need
    most bytes for its weight; of these the rule `victim` picks one, by default the latest.
    """

    name = "fair"
    summary = "as fcfs, but tenants are admitted, and make way, by what they had for their weights"
    source = "VTC (Sheng et al., OSDI 2024); DRR (Shreedhar and Varghese, 1996)"
    Options = FairOptions

    def __init__(self, options: FairOptions) -> None:
        super().__init__(options)
        self._sharing = options.policy
        self._prices = Prices(options.prompt_price, options.output_price)
        self._quantum = options.quantum
        self._victim_key = self._rank_to_go
        self._rule = RULES[options.victim]

    def new_queue(self) -> WaitingQueue:
        """See `Scheduler.new_queue`."""
        if self._sharing is Sharing.DRR:
            return DeficitQueue(self._prices, self._quantum)
        return VirtualTokenQueue(self._prices)

    def _rank_to_go(self, sequence: Sequence) -> tuple[float, ...]:
        """Highest for who makes way; all sequences of a tenant stand together."""
        account = sequence.account
        return account.weighted_bytes, -account.number, *self._rule(sequence)
