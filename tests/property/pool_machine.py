"""What machines over pools share: which pages are live, and calls that must change nothing."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from allocator.run import runs_of_pages

CHOICE = st.integers(0, 1000)


class PoolMachine(RuleBasedStateMachine):
    """The model of the pages that are taken; what is free is said below."""

    pool: Any
    live: set[int]

    def refuses(self, message: str) -> pytest.RaisesExc[ValueError]:
        self.before = pickle.dumps(self.pool)
        return pytest.raises(ValueError, match=message)

    def is_unchanged(self) -> None:
        assert pickle.dumps(self.pool) == self.before

    @rule(choices=st.sets(CHOICE, max_size=10))
    def give(self, choices: set[int]) -> None:
        live = sorted(self.live)
        pages = sorted({live[choice % len(live)] for choice in choices} if live else set())
        self.pool.give(runs_of_pages(pages))
        self.live.difference_update(pages)

    @invariant()
    def is_sound(self) -> None:
        self.pool.check_integrity()
        self.pool.check_live(self.live)
