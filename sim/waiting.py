"""What a queue promises in which sequences wait for memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sim.request import Sequence


class WaitingQueue(ABC):
    """Where sequences wait; a scheduler says of which kind.

    It is true while it is somebody's turn; one that holds sequences back can be false although
    some wait. Whose turn it is only changes when somebody joins or leaves, or pages are released.
    """

    @abstractmethod
    def with_quotas(self) -> WaitingQueue:
        """An empty queue in the same order that passes over tenants who are at their quota."""

    @abstractmethod
    def join(self, sequence: Sequence) -> bool:
        """Let a sequence that has arrived wait; whether it may be somebody else's turn now."""

    @abstractmethod
    def rejoin(self, sequence: Sequence) -> None:
        """Let a sequence wait that has lost its pages."""

    @abstractmethod
    def head(self) -> Sequence:
        """The one whose turn it is; IndexError if there is none."""

    @abstractmethod
    def leave(self) -> Sequence:
        """Take the head out; IndexError if there is none."""

    def reconsider(self) -> None:  # noqa: B027 - most orders have nothing to think over
        """Called when pages have been released: whose turn it is may be decided anew."""

    @abstractmethod
    def __len__(self) -> int:
        """How many wait."""

    @abstractmethod
    def __iter__(self) -> Iterator[Sequence]:
        """All that wait, head first."""
