"""The sequences that decode: in each round every one of them makes a token."""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from itertools import count
from operator import attrgetter
from typing import TYPE_CHECKING

from allocator.integrity import check
from allocator.rounds import STANDING, Rounds

if TYPE_CHECKING:
    from allocator.cohort import Cohort
    from sim.request import Sequence
    from sim.step import StepPlan

PLACE = attrgetter("place")


class Decoding:
    """Who decodes, who ends next, and what all of them attend to; a round costs one addition.

    The members' tokens follow one count of rounds. What their manager holds for them follows too,
    by a cohort with the same members.

    Attributes:
        members: In order of admission.
        cohort: The manager's side.
    """

    def __init__(self, cohort: Cohort) -> None:
        self.members: list[Sequence] = []
        self.cohort = cohort
        self._rounds = Rounds()
        self._context_tokens = 0  # of all members, beside the rounds
        self._ends: list[tuple[int, int, Sequence]] = []  # a heap; some entries are out of date
        self._serial = count()

    def join(self, sequence: Sequence) -> None:
        """Take a running sequence in that owes nothing."""
        rounds, members = self._rounds, self.members
        sequence.follow(rounds)
        sequence.account.follow(rounds)
        self.cohort.join(sequence.request_id, sequence.place)
        if not members or members[-1].place < sequence.place:
            members.append(sequence)
        else:
            insort(members, sequence, key=PLACE)
        self._context_tokens += sequence.computed_tokens - rounds.count
        last_round = rounds.count + sequence.output_tokens - sequence.made_tokens
        sequence.last_round = last_round
        heapq.heappush(self._ends, (last_round, next(self._serial), sequence))

    def leave(self, sequence: Sequence) -> None:
        """Let a member go: it has ended, lost its pages, or is extended on its own."""
        del self.members[bisect_left(self.members, sequence.place, key=PLACE)]
        self._context_tokens -= sequence.computed_tokens - self._rounds.count
        sequence.last_round = None
        sequence.follow(STANDING)
        sequence.account.part()
        self.cohort.leave(sequence.request_id)

    def part(self, sequence: Sequence) -> None:
        """Let a running sequence decode on its own, or not at all; it need not be a member."""
        if sequence.last_round is not None:
            self.leave(sequence)

    def enter(self, plan: StepPlan) -> None:
        """Let a step compute a token of every member; each has room for it."""
        plan.decodes = self.members.copy()
        of_each = self._rounds.count + 1
        plan.decode_context_tokens = self._context_tokens + len(plan.decodes) * of_each
        plan.together = True

    @property
    def context_tokens(self) -> int:
        """Tokens that the members have computed, in all."""
        return self._context_tokens + len(self.members) * self._rounds.count

    def rounds_to_first_end(self) -> int:
        """Rounds until a member has made its last token; there must be a member."""
        ends = self._ends
        while ends[0][2].last_round != ends[0][0]:
            heapq.heappop(ends)
        return ends[0][0] - self._rounds.count

    def advance(self, rounds: int) -> list[Sequence]:
        """Credit rounds, no more than `rounds_to_first_end`; who has ended leaves.

        Returns:
            Those, in order of admission.
        """
        now = self._rounds.count = self._rounds.count + rounds
        ended = []
        while self._ends and self._ends[0][0] <= now:
            last_round, _, sequence = heapq.heappop(self._ends)
            if sequence.last_round == last_round:
                self.leave(sequence)
                ended.append(sequence)
        if len(ended) > 1:
            ended.sort(key=PLACE)
        return ended

    def check_integrity(self) -> None:
        """Raise AssertionError if a sum or an order is off."""
        places = [sequence.place for sequence in self.members]
        check(places == sorted(set(places)), "who decodes is out of order")
        context = sum(sequence.computed_tokens for sequence in self.members)
        check(context == self.context_tokens, "the tokens attended to are miscounted")
        current = {s.request_id for end, _, s in self._ends if s.last_round == end}
        check(current == {s.request_id for s in self.members}, "an end is forgotten")
        self.cohort.check_integrity()
