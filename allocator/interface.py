"""What every allocator promises: a cache manager gives sequences their pages."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from allocator.cohort import ListedCohort
from allocator.design import Design

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.backing import Backing
    from allocator.cohort import Cohort
    from allocator.prefix.interface import Prefix
    from allocator.spec import CacheSpec


UNBOUNDED_TOKENS = 2**63 - 1
"""Tokens of the longest sequence where none needs memory: models of state only."""


class OutOfMemoryError(Exception):
    """An allocation that failed; the manager is as it was before the call.

    Attributes:
        pool: Name of the pool that was short.
        asked: Pages asked of it (bytes for a pool without pages).
        free: Pages free in it.
        largest: Pages the call could have had, counting capacity that could have moved in.
        migration_blocked: Whether the other pool had the bytes free, but where they could not go.
    """

    def __init__(
        self, pool: str, asked: int, free: int, *, largest: int, migration_blocked: bool = False
    ) -> None:
        super().__init__(f"pool {pool}: {asked} asked, {free} free, {largest} at most")
        self.pool = pool
        self.asked = asked
        self.free = free
        self.largest = largest
        self.migration_blocked = migration_blocked


@dataclass(frozen=True, slots=True)
class PoolUsage:
    """One pool at one moment.

    Attributes:
        name: Name of the pool.
        page_bytes: Bytes of one of its pages.
        num_pages: Pages it holds at present, free or live.
        num_live: Pages granted to sequences.
        num_cached: Free pages that keep a text for sequences to come.
        num_cached_states: Those of them that keep a state.
    """

    name: str
    page_bytes: int
    num_pages: int
    num_live: int
    num_cached: int = 0
    num_cached_states: int = 0

    @property
    def free_bytes(self) -> int:
        """Bytes of its free pages."""
        return (self.num_pages - self.num_live) * self.page_bytes


@dataclass(frozen=True, slots=True)
class Usage:
    """Where every byte of the budget is.

    Attributes:
        budget_bytes: Physical bytes the manager may use.
        footprint_bytes: Physical bytes it holds (mapped).
        pools: Its pools, in order of pool number.
        needed_bytes: Bytes the live sequences need: tokens x KV bytes + state, without rounding.
        reserve_bytes: Budget in no pool that any pool could still turn into pages.
        peak_granted_bytes: The most bytes ever granted at once.
    """

    budget_bytes: int
    footprint_bytes: int
    pools: tuple[PoolUsage, ...]
    needed_bytes: int
    reserve_bytes: int
    peak_granted_bytes: int

    @property
    def granted_bytes(self) -> int:
        """Bytes of the pages granted to sequences."""
        return sum(pool.num_live * pool.page_bytes for pool in self.pools)

    @property
    def internal_waste_bytes(self) -> int:
        """Bytes inside granted pages that no token and no state needs."""
        return self.granted_bytes - self.needed_bytes

    @property
    def external_waste_bytes(self) -> int:
        """Bytes of the budget that can be part of no page: what rounding leaves over."""
        paged = sum(pool.num_pages * pool.page_bytes for pool in self.pools)
        return self.budget_bytes - self.reserve_bytes - paged


@dataclass(frozen=True, slots=True)
class Migration:
    """Capacity that moved from one pool to another in one go."""

    donor: int
    recipient: int
    num_bytes: int


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a sequence is admitted; by default its first tokens only need room.

    Attributes:
        room_tokens: Tokens that there must be room for, though only the first ones get any.
        others_tokens: Tokens by which other sequences are to grow beside it, likewise.
        margin: Share of each pool's pages, rounded down, that must stay free beside that room.
        prefix: What was found of its text, from a manager that shares prefixes.
    """

    room_tokens: int = 0
    others_tokens: int = 0
    margin: float = 0.0
    prefix: Prefix | None = None


NO_TERMS = Terms()


class CacheManager(Design):
    """Gives sequences their pages; what the command line calls an allocator.

    A call does all it was asked or raises and leaves everything as it was. Sequences are named by
    integers of the caller's choice. Managers know no clock, no requests and no device.
    """

    spec: CacheSpec
    backing: Backing

    @classmethod
    def build(cls, spec: CacheSpec, backing: Backing, options: Any) -> CacheManager:  # noqa: ANN401 - an instance of the design's own Options
        """The manager of this design for its options; they may ask for another class."""
        return cls(spec, backing, options)

    @abstractmethod
    def __init__(self, spec: CacheSpec, backing: Backing, options: Any) -> None:  # noqa: ANN401 - an instance of the manager's own Options
        """Lay out the pools for a model within the budget of a backing."""

    @abstractmethod
    def admit(self, sequence: int, tokens: int, terms: Terms = NO_TERMS) -> None:
        """Give a new sequence room for its first tokens (at least 1) and its state.

        Raises:
            OutOfMemoryError: If there is no room, or less than the terms ask for.
            ValueError: If the sequence is already admitted, or tokens is below 1.
        """

    @abstractmethod
    def extend(self, sequence: int, tokens: int) -> None:
        """Give a sequence room for more tokens.

        Raises:
            OutOfMemoryError: If there is no room.
            KeyError: If the sequence is not admitted.
            ValueError: If tokens is negative.
        """

    @abstractmethod
    def extend_all(self, sequences: Sequence[int], tokens: int) -> None:
        """Give each of some sequences room for so many more tokens: all of them, or none.

        Args:
            sequences: Admitted sequences, each at most once.
            tokens: Tokens more for every one of them.

        Raises:
            OutOfMemoryError: If there is no room for all; some may still be extended one by one.
            KeyError: If one is not admitted.
            ValueError: If tokens is negative.
        """

    def new_cohort(self) -> Cohort:
        """An empty cohort of this manager's sequences; there should be one at a time."""
        return ListedCohort(self)

    @abstractmethod
    def release(self, sequence: int) -> None:
        """Take all pages of a sequence back.

        Raises:
            KeyError: If the sequence is not admitted.
        """

    @abstractmethod
    def block_table(self, sequence: int, group: str) -> Sequence[int]:
        """Handles of a sequence's pages in one cache group, in order of tokens then layers.

        Raises:
            KeyError: If the sequence is not admitted or the model has no such group.
        """

    @abstractmethod
    def usage(self) -> Usage:
        """Where every byte of the budget is now."""

    @abstractmethod
    def check_integrity(self) -> None:
        """Raise AssertionError if any structure contradicts itself or another."""

    @property
    @abstractmethod
    def max_sequence_tokens(self) -> int:
        """Tokens one sequence could have if it were alone; more can never fit.

        0 if not even its state fits, `UNBOUNDED_TOKENS` if tokens need no memory.
        """

    def prepare(self, next_tokens: int) -> None:
        """Called when a step has been planned and runs: a chance to move capacity ahead of need.

        It comes when sequences have been admitted or released since the last time, or another
        sequence is the head of the queue. What is mapped and unmapped here costs the step nothing
        unless it takes longer. No live page may be copied: the step in flight uses it.

        Args:
            next_tokens: Tokens that the next sequence will be admitted with; 0 if none waits.
        """

    def take_migrations(self) -> list[Migration]:
        """Migrations since the last call, in order; the caller logs them."""
        return []
