"""Sequences that decode together: ends, sums and places by one count."""

import pytest

from allocator.cohort import Cohort
from sim.decoding import Decoding
from sim.request import Sequence
from sim.step import StepPlan
from traces.record import Request


class Unbounded(Cohort):
    """Room for everybody; knows who has joined."""

    def __init__(self) -> None:
        self.members: list[int] = []

    def join(self, sequence: int, rank: int) -> None:
        del rank
        self.members.append(sequence)

    def leave(self, sequence: int) -> None:
        self.members.remove(sequence)

    def extend(self) -> None:
        pass

    def sure_rounds(self, most: int) -> int:
        return most

    def extend_in_rounds(self, rounds: int) -> None:
        pass

    def check_integrity(self) -> None:
        pass


@pytest.fixture
def decoding() -> Decoding:
    return Decoding(Unbounded())


def decoder(place: int, prompt: int, output: int) -> Sequence:
    """A sequence whose prompt is computed and whose first token is made."""
    sequence = Sequence(Request(100 + place, 0, prompt, output))
    sequence.place, sequence.computed_tokens, sequence.made_tokens = place, prompt, 1
    return sequence


def test_all_members_gain_what_the_count_gains(decoding: Decoding) -> None:
    first, second = decoder(1, 10, 9), decoder(2, 20, 9)
    decoding.join(first)
    assert decoding.advance(3) == []
    decoding.join(second)
    assert decoding.advance(2) == []
    assert (first.computed_tokens, first.made_tokens) == (15, 6)
    assert (second.computed_tokens, second.made_tokens) == (22, 3)
    assert decoding.context_tokens == 15 + 22
    decoding.check_integrity()


def test_who_ends_leaves_in_order_of_admission(decoding: Decoding) -> None:
    members = [decoder(place, 4, output) for place, output in ((3, 5), (1, 5), (2, 9))]
    for sequence in members:
        decoding.join(sequence)
    assert decoding.rounds_to_first_end() == 4
    assert decoding.advance(4) == [members[1], members[0]]
    assert [sequence.made_tokens for sequence in members] == [5, 5, 5]
    assert decoding.members == [members[2]]
    assert decoding.rounds_to_first_end() == 4
    decoding.check_integrity()


def test_who_has_left_keeps_its_tokens_and_may_come_back(decoding: Decoding) -> None:
    stays, goes = decoder(1, 4, 50), decoder(2, 6, 4)
    decoding.join(stays)
    decoding.join(goes)
    decoding.advance(1)
    decoding.leave(goes)
    decoding.advance(10)
    assert (goes.computed_tokens, goes.made_tokens, goes.last_round) == (7, 2, None)
    assert decoding.rounds_to_first_end() == 38  # an end that is out of date does not count
    decoding.join(goes)
    assert decoding.rounds_to_first_end() == 2
    decoding.check_integrity()
    assert decoding.advance(2) == [goes]


def test_a_step_with_all_members_says_so(decoding: Decoding) -> None:
    for place in (2, 1):
        decoding.join(decoder(place, 10 * place, 5))
    plan = StepPlan()
    decoding.enter(plan)
    decoding.advance(4)
    assert plan.together
    assert [sequence.place for sequence in plan.decodes] == [1, 2]
    assert plan.decode_context_tokens == 11 + 21


def test_damage_is_noticed(decoding: Decoding) -> None:
    sequence = decoder(1, 10, 9)
    decoding.join(sequence)
    decoding.check_integrity()
    sequence.computed_tokens += 1
    with pytest.raises(AssertionError, match="miscounted"):
        decoding.check_integrity()
    sequence.computed_tokens -= 1
    sequence.last_round = 3
    with pytest.raises(AssertionError, match="forgotten"):
        decoding.check_integrity()
    decoding.members.append(sequence)
    with pytest.raises(AssertionError, match="order"):
        decoding.check_integrity()
