"""An adaptor that tries remedies when a call fails, and the call once more after each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from allocator.interface import OutOfMemoryError
from allocator.paper.adaptor import Adaptor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.paper.layer_pools import LayerPools


@dataclass(frozen=True, slots=True)
class FailedCall:
    """A layer call that found too few pages.

    Attributes:
        request: Who asked.
        pool: Number of the pool that was short.
        asked: Pages asked of it.
    """

    request: int
    pool: int
    asked: int


class Remedy(Protocol):
    """Something that may make room for a call that failed."""

    def make_room(self, call: FailedCall) -> bool:
        """Do what can be done; returns whether anything changed."""


class Recovering(Adaptor):
    """Calls an allocator; where it fails, applies remedies in order until the call succeeds."""

    def __init__(self, inner: LayerPools, remedies: Sequence[Remedy]) -> None:
        super().__init__(inner)
        self._pool_of_group = inner.pool_of_group
        self._remedies = tuple(remedies)

    def allocate(self, request: int, group: int, count: int) -> Sequence[int]:
        """See `LayerAllocator.allocate`."""
        try:
            return self._inner.allocate(request, group, count)
        except OutOfMemoryError as error:
            return self._recover(error, request, group, count)

    def _recover(
        self, error: OutOfMemoryError, request: int, group: int, count: int
    ) -> Sequence[int]:
        call = FailedCall(request, self._pool_of_group[group], count)
        for remedy in self._remedies:
            if remedy.make_room(call):
                try:
                    return self._inner.allocate(request, group, count)
                except OutOfMemoryError as still:
                    error = still
        raise error
