"""Remedies that take pages from other requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from allocator.paper.holdings import Holdings
    from allocator.paper.interface import Witness
    from allocator.paper.layer_pools import HeldPool
    from allocator.paper.recovering import FailedCall


class Victims(Protocol):
    """Who may lose pages, and in which order."""

    def order(self, holdings: Holdings, asker: int) -> Iterator[int]:
        """Requests, the first to be evicted first."""


class OldestFirst:
    """Least recently given pages first, whoever it is: the asker may evict itself (the paper)."""

    def order(self, holdings: Holdings, asker: int) -> Iterator[int]:
        """See `Victims.order`."""
        del asker
        return iter(holdings)


class OldestOther:
    """Least recently given pages first, but never the request that asks."""

    def order(self, holdings: Holdings, asker: int) -> Iterator[int]:
        """See `Victims.order`."""
        return (request for request in holdings if request != asker)


class EvictOne:
    """Evicts the first victim, whether or not that helps (the paper)."""

    def __init__(self, held_pools: Sequence[HeldPool], victims: Victims, witness: Witness) -> None:
        self._held_pools = held_pools
        self._victims = victims
        self._witness = witness

    def make_room(self, call: FailedCall) -> bool:
        """See `Remedy.make_room`."""
        held = self._held_pools[call.pool]
        victim = next(self._victims.order(held.holdings, call.request), None)
        if victim is None:
            return False
        self._evict(victim, call)
        return True

    def _evict(self, victim: int, call: FailedCall) -> None:
        num_pages = self._held_pools[call.pool].evict(victim)
        self._witness.evicted(victim, call.pool, num_pages, call.request)


class EvictEnough(EvictOne):
    """Evicts as many victims as the call needs, and nobody if all of them were too few."""

    def make_room(self, call: FailedCall) -> bool:
        """See `Remedy.make_room`."""
        held = self._held_pools[call.pool]
        missing = call.asked - held.pool.num_free
        chosen = []
        for victim in self._victims.order(held.holdings, call.request):
            if missing <= 0:
                break
            missing -= held.holdings.num_pages_of(victim)
            chosen.append(victim)
        if missing > 0:
            return False
        for victim in chosen:
            self._evict(victim, call)
        return True
