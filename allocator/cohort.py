"""Sequences that gain a token together, at a cost that does not grow with their number."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right, insort
from operator import itemgetter
from typing import TYPE_CHECKING, Protocol

from allocator.integrity import check
from allocator.rounds import STANDING, Rounds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from allocator.held import Held
    from allocator.interface import CacheManager

    Member = tuple[int, int, Held]  # rank, sequence, and what it holds


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

    def grow_in_rounds(self, rounds: Sequence[Sequence[tuple[int, Held]]]) -> None:
        """Give (sequence, what it holds) a block each, round by round, or raise."""

    def count_tokens(self, tokens: int) -> None:
        """So many tokens more have room."""


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
        self._due: dict[int, list[Member]] = {}  # by number of the round, modulo a block
        self._ranks: dict[int, int] = {}

    def join(self, sequence: int, rank: int) -> None:
        """See `Cohort.join`."""
        held = self._held[sequence]
        held.follow(self._rounds)
        self._ranks[sequence] = rank
        insort(
            self._due.setdefault(self._turn(held), []), (rank, sequence, held), key=itemgetter(0)
        )

    def leave(self, sequence: int) -> None:
        """See `Cohort.leave`."""
        rank, held = self._ranks.pop(sequence), self._held[sequence]
        turn = self._turn(held)
        members = self._due[turn]
        del members[bisect_right(members, rank, key=itemgetter(0)) - 1]
        if not members:
            del self._due[turn]
        held.follow(STANDING)

    def extend(self) -> None:
        """See `Cohort.extend`."""
        members = self._due.get(self._rounds.count % self._block_tokens)
        if members:
            self._grower.grow_in_rounds([[member[1:] for member in members]])
        self._advance(1)

    def sure_rounds(self, most: int) -> int:
        """See `Cohort.sure_rounds`: as long as free pages last, counted by blocks."""
        blocks = self._grower.growth_blocks()
        num_members, size = len(self._ranks), self._block_tokens
        if num_members * -(-most // size) <= blocks:
            return most
        whole = blocks // num_members * size  # every member has its turn once in a block's rounds
        left, done = blocks - whole // size * num_members, 0
        for wait, members in self._in_turn():
            if len(members) > left:
                done = wait
                break
            left -= len(members)
        return min(most, whole + done)

    def extend_in_rounds(self, rounds: int) -> None:
        """See `Cohort.extend_in_rounds`; blocks are dealt round by round."""
        turns = [
            (number, members)
            for wait, members in self._in_turn()
            for number in range(wait, rounds, self._block_tokens)
        ]
        if turns:
            turns.sort(key=itemgetter(0))
            dealt = [[member[1:] for member in members] for _, members in turns]
            self._grower.grow_in_rounds(dealt)
        self._advance(rounds)

    def check_integrity(self) -> None:
        """See `Cohort.check_integrity`."""
        placed = [member for members in self._due.values() for member in members]
        check(
            {sequence: rank for rank, sequence, _ in placed} == self._ranks
            and len(placed) == len(self._ranks),
            "a cohort's member stands nowhere or twice",
        )
        for turn, members in self._due.items():
            ranks = [rank for rank, _, _ in members]
            check(ranks == sorted(set(ranks)), "a cohort's members are out of order")
            own = all(self._turn(held) == turn for _, _, held in members)
            check(bool(members) and own, "a cohort's member stands where its turn is not")
            same = all(self._held.get(s) is held for _, s, held in members)
            check(same, "a cohort's member is gone")

    def _turn(self, held: Held) -> int:
        """The round, modulo a block, in which a member needs its next block."""
        return (self._rounds.count + held.room_tokens - held.tokens) % self._block_tokens

    def _in_turn(self) -> Iterable[tuple[int, list[Member]]]:
        """(rounds until then, members) of each list, whose turn comes next first."""
        now, size = self._rounds.count, self._block_tokens
        return sorted(((turn - now) % size, self._due[turn]) for turn in self._due)

    def _advance(self, rounds: int) -> None:
        self._rounds.count += rounds
        self._grower.count_tokens(rounds * len(self._ranks))
