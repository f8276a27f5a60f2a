"""Whose turn it is among tenants that each have a weight: two ways of sharing service."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.order import ArrivalOrder
from sim.tenant_queue import TenantQueue

if TYPE_CHECKING:
    from collections.abc import Sequence as List

    from sim.account import Account


@dataclass(frozen=True, slots=True)
class Prices:
    """What a token of service counts.

    Attributes:
        prompt: A token of a prompt; recomputing one after a preemption counts nothing.
        output: A token made.
    """

    prompt: float
    output: float

    def served(self, account: Account) -> float:
        """The service that a tenant has had: prompts when they are admitted, output as made."""
        return self.prompt * account.prompt_tokens + self.output * account.made_tokens


class FairQueue(TenantQueue):
    """A line for each tenant, first come, first served; turns go by what tenants were served.

    A tenant is *active* while it has somebody waiting and is within its quota. Who was not, and
    comes back, brings no claim along to what others were served meanwhile.
    """

    def __init__(self, prices: Prices) -> None:
        super().__init__(ArrivalOrder())
        self.prices = prices
        self._active: set[Account] = set()

    def choose(self, candidates: List[Account]) -> Account | None:
        """See `TenantQueue.choose`."""
        self.welcome(
            [account for account in candidates if account not in self._active],
            [account for account in candidates if account in self._active],
        )
        self._active = set(candidates)
        return self.next_of(candidates) if candidates else None

    def may_precede(self, account: Account, turn: Account | None) -> bool:
        """See `TenantQueue.may_precede`: only for a tenant of which nobody else waits.

        Another one has been passed over since its last turn; nothing it was served changes that.
        """
        return turn is None or account not in self._active

    @abstractmethod
    def welcome(self, back: List[Account], active: List[Account]) -> None:
        """Take tenants in that have become active, beside those that stayed so."""

    @abstractmethod
    def next_of(self, active: List[Account]) -> Account:
        """The tenant whose turn it is."""


class VirtualTokenQueue(FairQueue):
    """Virtual token counters: the tenant with the least weighted service goes first.

    A tenant's counter is its service over its weight. When it becomes active its counter is lifted
    to the least of those that are; if there are none, to that of the tenant served last. Of equal
    counters the tenant that holds less goes first.

    Source: Sheng et al., "Fairness in Serving Large Language Models", OSDI 2024 (abstract read,
    the algorithm recalled); weights as its weighted variant has them.
    """

    def __init__(self, prices: Prices) -> None:
        super().__init__(prices)
        self._lifts: dict[Account, float] = {}
        self._last: Account | None = None

    def counter(self, account: Account) -> float:
        """The virtual token counter of a tenant."""
        served = self.prices.served(account) / account.tenant.weight
        return served + self._lifts.get(account, 0.0)

    def welcome(self, back: List[Account], active: List[Account]) -> None:
        """See `FairQueue.welcome`."""
        models = active or ([] if self._last is None else [self._last])
        least = min(map(self.counter, models), default=0.0)
        for account in back:
            missing = max(0.0, least - self.counter(account))
            self._lifts[account] = self._lifts.get(account, 0.0) + missing

    def next_of(self, active: List[Account]) -> Account:
        """See `FairQueue.next_of`."""
        self._last = min(active, key=self._rank)
        return self._last

    def _rank(self, account: Account) -> tuple[float, float, int]:
        return self.counter(account), account.weighted_bytes, account.number


class DeficitQueue(FairQueue):
    """Deficit round robin: each tenant in turn may spend a quantum a unit of its weight.

    A tenant goes on while its balance covers the prompt of its first in line; what its sequences
    make is taken off too, as it is made, so a balance may be negative. Then it is the next one's
    turn, who is granted a quantum. A tenant that becomes active has no balance left, but debts.

    Source: Shreedhar and Varghese, "Efficient Fair Queuing Using Deficit Round-Robin", 1996
    (recalled); there costs are known beforehand.
    """

    def __init__(self, prices: Prices, quantum: int) -> None:
        super().__init__(prices)
        self._quantum = quantum
        self._granted: dict[Account, float] = {}
        self._place = 0  # number of the tenant whose turn it is

    def balance(self, account: Account) -> float:
        """What a tenant may still spend."""
        return self._granted.get(account, 0.0) - self.prices.served(account)

    def welcome(self, back: List[Account], active: List[Account]) -> None:
        """See `FairQueue.welcome`."""
        del active
        for account in back:
            self._granted[account] = min(
                self._granted.get(account, 0.0), self.prices.served(account)
            )

    def next_of(self, active: List[Account]) -> Account:
        """See `FairQueue.next_of`: rounds in which nobody could go are taken in one go."""
        ring = sorted(active, key=lambda account: account.number)
        before = [account for account in ring if account.number < self._place]
        ring = ring[len(before) :] + before
        if ring[0].number == self._place and self._lack(ring[0]) <= 0:
            return ring[0]
        if ring[0].number == self._place:
            ring = ring[1:] + ring[:1]
        visits = [self._visits_needed(account) for account in ring]
        winner = visits.index(min(visits))
        for place, account in enumerate(ring):
            grants = visits[winner] - (place > winner)
            self._granted[account] = self._granted.get(account, 0.0) + grants * self._grant(account)
        self._place = ring[winner].number
        return ring[winner]

    def _visits_needed(self, account: Account) -> int:
        """Times that a tenant must be granted its quantum before its first in line may go."""
        return max(1, int(-(-self._lack(account) // self._grant(account))))

    def _lack(self, account: Account) -> float:
        """What a tenant's balance lacks of the cost of its first in line."""
        first = self.first_of(account)
        cost = 0 if first.preemptions else self.prices.prompt * first.request.prompt_tokens
        return cost - self.balance(account)

    def _grant(self, account: Account) -> float:
        return self._quantum * account.tenant.weight
