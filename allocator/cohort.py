"""Sequences that gain a token together, at a cost that does not grow with their number."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right, insort
from itertools import chain
from typing import TYPE_CHECKING, Protocol

from allocator.integrity import check
from allocator.rounds import STANDING, Rounds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from allocator.held import Held
    from allocator.interface import CacheManager


class Cohort(ABC):
    """Admitted sequences that grow in rounds: each round gives each of them room for one token.

    They are taken in order of their ranks, as `extend_all` takes them in order of its list. A
    sequence that has joined must leave before it is released or extended on its own.
    """

    @abstractmethod
    def join(self, sequence: int, rank: int) -> None:
        """Take an admitted sequence in; ranks must differ.

        One that is not admitted is a KeyError, at the latest when the cohort grows.
        """

    @abstractmethod
    def leave(self, sequence: int) -> None:
        """Let a sequence go; KeyError if it has not joined."""

    @abstractmethod
    def extend(self) -> None:
        """One round, for all or for nobody.

        Raises:
            OutOfMemoryError: If there is no room for all; some may still be extended one by one.
        """

    @abstractmethod
    def sure_rounds(self, most: int) -> int:
        """Rounds in which nothing happens but that pages are granted, as far as can be told.

        No call of `extend` fails in them, no capacity moves, and the backing is asked for nothing.

        Args:
            most: Rounds that are of interest.
        """

    @abstractmethod
    def extend_in_rounds(self, rounds: int) -> None:
        """Leave all as so many calls of `extend` would, page by page; see `sure_rounds`."""

    @abstractmethod
    def check_integrity(self) -> None:
        """Raise AssertionError if a member is not where it should be."""


class ListedCohort(Cohort):
    """Over any manager: one call of `extend_all` a round, and nothing is known beforehand."""

    def __init__(self, manager: CacheManager) -> None:
        self._manager = manager
        self._ranked: list[tuple[int, int]] = []  # rank and sequence, in order

    def join(self, sequence: int, rank: int) -> None:
        """See `Cohort.join`."""
        insort(self._ranked, (rank, sequence))

    def leave(self, sequence: int) -> None:
        """See `Cohort.leave`."""
        place = next((i for i, (_, other) in enumerate(self._ranked) if other == sequence), None)
        if place is None:
            raise KeyError(sequence)
        del self._ranked[place]

    def extend(self) -> None:
        """See `Cohort.extend`."""
        self._manager.extend_all([sequence for _, sequence in self._ranked], 1)

    def sure_rounds(self, most: int) -> int:
        """See `Cohort.sure_rounds`: it cannot tell."""
        del most
        return 0

    def extend_in_rounds(self, rounds: int) -> None:
        """See `Cohort.extend_in_rounds`."""
        for _ in range(rounds):
            self.extend()

    def check_integrity(self) -> None:
        """See `Cohort.check_integrity`."""
        ranks = [rank for rank, _ in self._ranked]
        check(ranks == sorted(set(ranks)), "a cohort's members are out of order")


class Grower(Protocol):
    """What a cohort of blocks asks of its manager."""

    def growth_blocks(self) -> int:
        """Blocks that running sequences can gain while nothing moves."""

    def grow_in_rounds(self, seats: Sequence[int], sizes: Sequence[int]) -> None:
        """Give seats a block each, all of them, or raise.

        Args:
            seats: Those of the first round, then those of the next, and so on.
            sizes: How many each round has.
        """

    def count_tokens(self, tokens: int) -> None:
        """So many tokens more have room."""


class Turn:
    """Members that need their next block in the same round, in order of rank.

    Attributes:
        ranks: Their ranks.
        seats: Their seats.
    """

    __slots__ = ("ranks", "seats")

    def __init__(self) -> None:
        self.ranks: list[int] = []
        self.seats: list[int] = []


class BlockCohort(Cohort):
    """Members need a block every `block_tokens` rounds, so each stands where its turn comes.

    Members that need their next block in the same round stand in one list; that list's turn comes
    again every `block_tokens` rounds. A round looks at one list, and the members' tokens follow
    one count of rounds.
    """

    def __init__(self, grower: Grower, held: Mapping[int, Held], block_tokens: int) -> None:
        self._grower = grower
        self._held = held
        self._block_tokens = block_tokens
        self._rounds = Rounds()
        self._due: dict[int, Turn] = {}  # by number of the round, modulo a block
        self._ranks: dict[int, int] = {}

    def join(self, sequence: int, rank: int) -> None:
        """See `Cohort.join`."""
        held = self._held[sequence]
        held.follow(self._rounds)
        self._ranks[sequence] = rank
        number = -held.tokens_beside % self._block_tokens
        turn = self._due.get(number)
        if turn is None:
            turn = self._due[number] = Turn()
        place = bisect_right(turn.ranks, rank)
        turn.ranks.insert(place, rank)
        turn.seats.insert(place, held.seat)

    def leave(self, sequence: int) -> None:
        """See `Cohort.leave`."""
        rank, held = self._ranks.pop(sequence), self._held[sequence]
        number = -held.tokens_beside % self._block_tokens
        turn = self._due[number]
        place = bisect_right(turn.ranks, rank) - 1
        del turn.ranks[place], turn.seats[place]
        if not turn.ranks:
            del self._due[number]
        held.follow(STANDING)

    def extend(self) -> None:
        """See `Cohort.extend`."""
        grower, rounds = self._grower, self._rounds
        turn = self._due.get(rounds.count % self._block_tokens)
        if turn:
            grower.grow_in_rounds(turn.seats, (len(turn.seats),))
        rounds.count += 1
        grower.count_tokens(len(self._ranks))

    def sure_rounds(self, most: int) -> int:
        """See `Cohort.sure_rounds`: as long as free pages last, counted by blocks."""
        blocks = self._grower.growth_blocks()
        num_members, size = len(self._ranks), self._block_tokens
        if num_members * -(-most // size) <= blocks:
            return most
        whole = blocks // num_members * size  # every member has its turn once in a block's rounds
        left, done = blocks - whole // size * num_members, 0
        for wait, turn in self._in_turn():
            if len(turn.seats) > left:
                done = wait
                break
            left -= len(turn.seats)
        return min(most, whole + done)

    def extend_in_rounds(self, rounds: int) -> None:
        """See `Cohort.extend_in_rounds`; blocks are dealt round by round."""
        due, size, now = self._due, self._block_tokens, self._rounds.count
        turns = [due[n % size].seats for n in range(now, now + rounds) if n % size in due]
        if turns:
            self._grower.grow_in_rounds(list(chain.from_iterable(turns)), list(map(len, turns)))
        self._rounds.count += rounds
        self._grower.count_tokens(rounds * len(self._ranks))

    def check_integrity(self) -> None:
        """See `Cohort.check_integrity`."""
        check(self._ranks.keys() <= self._held.keys(), "a cohort's member is gone")
        due: dict[int, list[tuple[int, int]]] = {}
        for sequence, rank in self._ranks.items():
            held = self._held[sequence]
            due.setdefault(self._turn(held), []).append((rank, held.seat))
        placed = {n: list(zip(t.ranks, t.seats, strict=True)) for n, t in self._due.items()}
        everybody = sorted(member for members in placed.values() for member in members)
        known = sorted(member for members in due.values() for member in members)
        check(everybody == known, "a cohort's member stands nowhere or twice")
        for number, members in placed.items():
            check(members == sorted(members), "a cohort's members are out of order")
            own = members == sorted(due.get(number, []))
            check(own, "a cohort's member stands where its turn is not")

    def _turn(self, held: Held) -> int:
        """The round, modulo a block, in which a member needs its next block: it is full then."""
        return (self._rounds.count - held.tokens) % self._block_tokens

    def _in_turn(self) -> Iterable[tuple[int, Turn]]:
        """(rounds until then, members) of each list, whose turn comes next first."""
        now, size = self._rounds.count, self._block_tokens
        waits = sorted((number - now) % size for number in self._due)
        return [(wait, self._due[(now + wait) % size]) for wait in waits]
