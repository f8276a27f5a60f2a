"""What machines over managers that share prefixes have in common."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant

from allocator.interface import OutOfMemoryError
from allocator.spec import CacheGroup, CacheKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from allocator.spec import CacheSpec

CHOICE = st.integers(0, 1000)
TEXTS = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 13)), max_size=4)
"""Pieces of few segments, so that many texts start alike."""

KV = CacheGroup("kv", CacheKind.ATTENTION, 2, 32)
LOCAL = CacheGroup("local", CacheKind.ATTENTION, 2, 16)
SSM = CacheGroup("ssm", CacheKind.STATE, 4, 128)
Token = tuple[int, int]


def tokens_of(pieces: list[tuple[int, int]]) -> list[Token]:
    """(segment, place) of every token: the definition of a text."""
    return [(segment, place) for segment, length in pieces for place in range(length)]


class PrefixMachine(RuleBasedStateMachine):
    """The model of what sequences need: how many tokens of each have room."""

    manager: Any
    spec: CacheSpec
    tokens: dict[int, int]

    def any_sequence(self, choice: int) -> int:
        return list(self.tokens)[choice % len(self.tokens)]

    def has_room(self, call: Callable[..., None], *arguments: object) -> bool:
        """Make a call; one that fails changes nothing."""
        before = pickle.dumps(self.manager)
        try:
            call(*arguments)
        except OutOfMemoryError:
            assert pickle.dumps(self.manager) == before
            return False
        return True

    @invariant()
    def is_sound(self) -> None:
        self.manager.check_integrity()

    @invariant()
    def shared_tokens_are_needed_once(self) -> None:
        usage = self.manager.usage()
        kv, state = self.spec.bytes_per_token(), self.spec.bytes_per_sequence()
        least = max(self.tokens.values(), default=0) * kv + len(self.tokens) * state
        most = sum(self.tokens.values()) * kv + len(self.tokens) * state
        assert least <= usage.needed_bytes <= most
        assert usage.needed_bytes <= usage.granted_bytes <= usage.peak_granted_bytes
