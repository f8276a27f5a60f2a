"""A journaled register beside one that does everything at once: only time may tell them apart."""
# ruff: noqa: SLF001 - a manager does not say how its places are kept

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from allocator import journal
from allocator.interface import OutOfMemoryError
from allocator.journaled_register import JournaledRegister
from allocator.pooled import PooledManager
from tests.conftest import MEMORY_CASES, every_design, host_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.conftest import Design, MemoryCase

LENGTHS = st.integers(1, 70)
CHOICE = st.integers(0, 1000)


def is_journaled(design: Design) -> bool:
    manager = design.build(MEMORY_CASES[0].spec, host_memory(MEMORY_CASES[0]))
    return isinstance(manager, PooledManager) and isinstance(manager._register, JournaledRegister)


DESIGNS = [design for design in every_design() if is_journaled(design)]


class Pair(RuleBasedStateMachine):
    """Every call goes to both; the places of the one are looked at when a rule says so."""

    @initialize(
        design=st.sampled_from(DESIGNS),
        case=st.sampled_from(MEMORY_CASES),
        scale=st.sampled_from([1, 2, 8]),
    )
    def build(self, design: Design, case: MemoryCase, scale: int) -> None:
        case = replace(case, num_granules=case.num_granules * scale)
        self.managers: list[Any] = [design.build(case.spec, host_memory(case)) for _ in range(2)]
        self.managers[1]._register = self.managers[1]._plain_register()
        self.cohorts = [manager.new_cohort() for manager in self.managers]
        self.sequences: list[int] = []
        self.members: set[int] = set()
        self.num_admitted = 0

    def answers(self, call: Callable[[Any, Any], object]) -> object:
        """What both answer, which is the same; None if both refuse."""
        answers: list[object] = []
        refusals = []
        for manager, cohort in zip(self.managers, self.cohorts, strict=True):
            try:
                answers.append(call(manager, cohort) or True)
            except OutOfMemoryError as error:
                refusals.append(vars(error))
        assert len(answers) in {0, 2}
        assert len(refusals) in {0, 2}
        if refusals:
            assert refusals[0] == refusals[1]
            return None
        assert answers[0] == answers[1]
        return answers[0]

    def any_sequence(self, choice: int) -> int:
        return self.sequences[choice % len(self.sequences)]

    @rule(tokens=LENGTHS)
    def admit(self, tokens: int) -> None:
        sequence = self.num_admitted
        self.num_admitted += 1
        if self.answers(lambda manager, _: manager.admit(sequence, tokens)):
            self.sequences.append(sequence)

    @precondition(lambda self: self.sequences)
    @rule(choice=CHOICE, tokens=LENGTHS)
    def extend(self, choice: int, tokens: int) -> None:
        sequence = self.any_sequence(choice)
        if sequence not in self.members:
            self.answers(lambda manager, _: manager.extend(sequence, tokens))

    @rule(tokens=st.integers(0, 9))
    def extend_all(self, tokens: int) -> None:
        apart = [sequence for sequence in self.sequences if sequence not in self.members]
        self.answers(lambda manager, _: manager.extend_all(apart, tokens))

    @precondition(lambda self: self.sequences)
    @rule(choice=CHOICE)
    def join_or_leave(self, choice: int) -> None:
        sequence = self.any_sequence(choice)
        if sequence in self.members:
            self.answers(lambda _, cohort: cohort.leave(sequence))
        else:
            self.answers(lambda _, cohort: cohort.join(sequence, sequence))
        self.members ^= {sequence}

    @rule(rounds=st.integers(1, 12))
    def decode(self, rounds: int) -> None:
        sure = self.answers(lambda _, cohort: (cohort.sure_rounds(rounds),))
        assert isinstance(sure, tuple)
        self.answers(lambda _, cohort: cohort.extend_in_rounds(sure[0]))
        self.answers(lambda _, cohort: cohort.extend())

    @precondition(lambda self: self.sequences)
    @rule(choice=CHOICE)
    def release(self, choice: int) -> None:
        sequence = self.any_sequence(choice)
        if sequence in self.members:
            self.answers(lambda _, cohort: cohort.leave(sequence))
            self.members.remove(sequence)
        self.answers(lambda manager, _: manager.release(sequence))
        self.sequences.remove(sequence)

    @rule(next_tokens=st.one_of(st.just(0), LENGTHS))
    def prepare(self, next_tokens: int) -> None:
        self.answers(lambda manager, _: manager.prepare(next_tokens))

    @precondition(lambda self: self.sequences)
    @rule(choice=CHOICE)
    def look(self, choice: int) -> None:
        """At one table, which must bring everything up to date."""
        group, sequence = self.managers[0].spec.groups[0].name, self.any_sequence(choice)
        self.answers(lambda manager, _: manager.block_table(sequence, group))
        pages = [sorted(manager._table.live_pages()) for manager in self.managers]
        assert pages[0] == pages[1]
        self.managers[0].check_integrity()

    @rule()
    def look_at_ends(self) -> None:
        """At places alone, if the register keeps them."""
        hasty, prompt = (manager._register for manager in self.managers)
        for number in range(len(self.managers[0]._pools)):
            assert hasty.end_of_live(number) == prompt.end_of_live(number)

    @invariant()
    def counts_are_the_same(self) -> None:
        self.answers(lambda manager, _: manager.usage())
        self.answers(lambda manager, _: manager.backing.counters())
        self.answers(lambda manager, _: manager.take_migrations())

    @invariant()
    def what_is_called_free_is_free(self) -> None:
        """As far as counts tell: that page and all beyond it, in the register that knows."""
        hasty, prompt = (manager._register for manager in self.managers)
        for number in range(len(self.managers[0]._pools)):
            assert hasty.end_at_most(number) >= prompt.end_of_live(number)

    def teardown(self) -> None:
        if hasattr(self, "managers"):
            groups = [group.name for group in self.managers[0].spec.groups]
            for s, name in itertools.product(self.sequences, groups):
                tables = [tuple(manager.block_table(s, name)) for manager in self.managers]
                assert tables[0] == tables[1]
            for manager in self.managers:
                manager.check_integrity()


def test_nobody_can_tell_when_places_are_looked_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "BLOCK_WORDS", 24)  # so that most runs go through the file
    run_state_machine_as_test(Pair, settings=settings(max_examples=150, stateful_step_count=60))
