"""What a router promises: it chooses the replica that a request goes to."""

from __future__ import annotations

from abc import abstractmethod
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from allocator.design import Design
from allocator.discovery import discover

if TYPE_CHECKING:
    from collections.abc import Sequence

    from traces.record import Request


class ReplicaView(Protocol):
    """What a router can know of a replica, as it is when a request arrives."""

    @property
    def num_running(self) -> int:
        """Sequences that hold pages."""

    @property
    def num_waiting(self) -> int:
        """Sequences in the queue."""

    @property
    def num_tokens(self) -> int:
        """Tokens of all prompts there, and of the output that has been made of them."""

    @property
    def granted_bytes(self) -> int:
        """Memory that sequences hold."""


class Router(Design):
    """Sends requests to replicas, at the moment they arrive and for good."""

    @abstractmethod
    def __init__(self, options: Any) -> None:  # noqa: ANN401 - an instance of the router's own Options
        """Take the options."""

    @abstractmethod
    def route(self, request: Request, replicas: Sequence[ReplicaView]) -> int:
        """The number of the replica that gets a request.

        Args:
            request: What arrives; its output length is not known to a real router.
            replicas: All of them, always in the same order.
        """


@cache
def known_routers() -> dict[str, type[Router]]:
    """Every router of `sim.routers` by its name, in order of name."""
    from sim import routers  # noqa: PLC0415 - the modules found there import this one

    return discover(routers, Router)  # type: ignore[type-abstract]
