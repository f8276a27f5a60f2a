"""What the conformance tests share."""

from __future__ import annotations

import hashlib
import pickle
from typing import TYPE_CHECKING

import numpy as np
import pytest

from allocator.interface import OutOfMemoryError

if TYPE_CHECKING:
    from collections.abc import Callable

    from allocator.interface import CacheManager

LONGEST = 60


class Churn:
    """A reproducible sequence of calls, with a model of what they leave behind beside it."""

    def __init__(self, manager: CacheManager, seed: int = 0) -> None:
        self.manager = manager
        self.tokens: dict[int, int] = {}
        self.num_failures = 0
        self._next = 0
        self._random = np.random.default_rng(seed)

    def run(self, num_calls: int) -> None:
        """Make calls: more of them give than take, so that memory runs out now and then."""
        for _ in range(num_calls):
            kind = int(self._random.integers(12))
            if kind < 4 or not self.tokens:
                self._admit()
            elif kind < 8:
                self._extend()
            elif kind < 10:
                self.release(self._any())
            elif kind < 11:
                self._extend_all()
            else:
                self.manager.prepare(int(self._random.integers(LONGEST)))

    def release(self, sequence: int) -> None:
        self.manager.release(sequence)
        del self.tokens[sequence]

    def release_all(self) -> None:
        for sequence in list(self.tokens):
            self.release(sequence)

    def _any(self) -> int:
        return list(self.tokens)[int(self._random.integers(len(self.tokens)))]

    def _admit(self) -> None:
        tokens = int(self._random.integers(1, LONGEST))
        try:
            self.manager.admit(self._next, tokens)
        except OutOfMemoryError:
            self.num_failures += 1
        else:
            self.tokens[self._next] = tokens
        self._next += 1

    def _extend(self) -> None:
        sequence, tokens = self._any(), int(self._random.integers(1, LONGEST // 2))
        try:
            self.manager.extend(sequence, tokens)
        except OutOfMemoryError:
            self.num_failures += 1
        else:
            self.tokens[sequence] += tokens

    def _extend_all(self) -> None:
        tokens = int(self._random.integers(1, 4))
        try:
            self.manager.extend_all(list(self.tokens), tokens)
        except OutOfMemoryError:
            self.num_failures += 1
        else:
            self.tokens = {sequence: had + tokens for sequence, had in self.tokens.items()}


def state_digest(manager: CacheManager) -> str:
    """Digest of everything a manager and its backing remember."""
    return hashlib.sha256(pickle.dumps(manager)).hexdigest()


@pytest.fixture
def digest() -> Callable[[CacheManager], str]:
    return state_digest


@pytest.fixture
def churn(manager: CacheManager) -> Churn:
    """Calls for the manager under test; none made yet."""
    return Churn(manager)


@pytest.fixture
def new_churn() -> type[Churn]:
    return Churn
