"""A queue that knows tenants: who is at its quota is passed over, and others behind it may go."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from sim.waiting import WaitingQueue

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Sequence as List

    from sim.account import Account
    from sim.order import Order
    from sim.request import Sequence

    Entry = tuple[tuple[int, ...], Sequence]


class TenantQueue(WaitingQueue):
    """A line for each tenant, in the order of another queue; turns go by that order too.

    A tenant whose first in line would exceed its quota is passed over, with all that wait behind
    it in its own line. A tenant of which nobody runs is within its quota, so it is always
    somebody's turn when nobody runs.

    Decisions are made when somebody asks, not when somebody comes: requests arrive in the middle
    of steps, where the tokens of the steps that lie behind may not have been counted yet.
    """

    def __init__(self, order: Order) -> None:
        self._order = order
        self._lines: dict[Account, list[Entry]] = {}  # a heap each; none is empty
        self._size = 0
        self._turn: Account | None = None
        self._is_decided = True

    def with_quotas(self) -> WaitingQueue:
        """See `WaitingQueue.with_quotas`: it does so already."""
        return self

    def join(self, sequence: Sequence) -> bool:
        """See `WaitingQueue.join`."""
        is_first = self._enter(self._order.of_arrival(sequence), sequence)
        if self._is_decided and is_first and self.may_precede(sequence.account, self._turn):
            self._is_decided = False
        return not self._is_decided

    def rejoin(self, sequence: Sequence) -> None:
        """See `WaitingQueue.rejoin`."""
        self._enter(self._order.of_return(sequence), sequence)
        self._is_decided = False

    def head(self) -> Sequence:
        """See `WaitingQueue.head`."""
        return self._line()[0][1]

    def leave(self) -> Sequence:
        """See `WaitingQueue.leave`."""
        line = self._line()
        _, sequence = heapq.heappop(line)
        if not line:
            del self._lines[sequence.account]
        self._size -= 1
        self._is_decided = False
        return sequence

    def reconsider(self) -> None:
        """See `WaitingQueue.reconsider`: a tenant may be within its quota again."""
        self._is_decided = False

    def __bool__(self) -> bool:
        """Whether it is somebody's turn."""
        return self._decide() is not None

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Sequence]:
        """All that wait, the head first, then by rank."""
        first = self.head() if self else None
        if first is not None:
            yield first
        entries = sorted((entry for line in self._lines.values() for entry in line), key=_rank)
        yield from (sequence for _, sequence in entries if sequence is not first)

    def first_of(self, account: Account) -> Sequence:
        """The one of a tenant that goes first; KeyError if none of it waits."""
        return self._lines[account][0][1]

    def rank_of(self, account: Account) -> tuple[int, ...]:
        """The rank of that one."""
        return self._lines[account][0][0]

    def choose(self, candidates: List[Account]) -> Account | None:
        """The tenant whose turn it is, of those within their quotas; None if there is none."""
        return min(candidates, key=self.rank_of, default=None)

    def may_precede(self, account: Account, turn: Account | None) -> bool:
        """Whether the first in line of a tenant, who has just come, may go before the head."""
        return turn is None or self.rank_of(account) < self.rank_of(turn)

    def _enter(self, rank: tuple[int, ...], sequence: Sequence) -> bool:
        """Put a sequence into its tenant's line; whether it is the first there."""
        line = self._lines.setdefault(sequence.account, [])
        heapq.heappush(line, (rank, sequence))
        self._size += 1
        return line[0][1] is sequence

    def _line(self) -> list[Entry]:
        account = self._decide()
        if account is None:
            raise IndexError("it is nobody's turn")
        return self._lines[account]

    def _decide(self) -> Account | None:
        """The tenant whose turn it is, which stays until there is a reason to think again."""
        if not self._is_decided:
            candidates = [a for a in self._lines if a.has_place_for(self.first_of(a))]
            self._turn = self.choose(candidates)
            self._is_decided = True
        return self._turn


def _rank(entry: Entry) -> tuple[int, ...]:
    return entry[0]
