"""Few rooms serve all steps, and each step fits in its own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gpu_backend.sequence_tables import Limits
from gpu_backend.step_room import MOST_CAPTURED_TOKENS, TOKEN_STEP, StepRoom

LIMITS = Limits(max_sequences=200, max_tokens=9000, max_step_tokens=20_000)


def plan(contexts: list[int], parts: list[tuple[int, bool]]) -> Any:  # noqa: ANN401 - stands for a StepPlan
    chunks = [
        SimpleNamespace(
            tokens=tokens,
            context_tokens=3,
            sequence=SimpleNamespace(target_tokens=tokens + (3 if ends else 4)),
        )
        for tokens, ends in parts
    ]
    return SimpleNamespace(
        decodes=[SimpleNamespace(computed_tokens=context) for context in contexts], chunks=chunks
    )


@given(
    st.lists(st.integers(1, 8999), max_size=150),
    st.lists(st.tuples(st.integers(1, 600), st.booleans()), max_size=30),
)
def test_a_step_fits_in_its_room(contexts: list[int], parts: list[tuple[int, bool]]) -> None:
    exact = StepRoom.of(plan(contexts, parts))
    room = exact.padded(LIMITS)
    assert room.decodes >= exact.decodes == len(contexts)
    assert room.decodes <= max(1, 2 * exact.decodes)
    assert room.chunks >= exact.chunks == len(parts)
    assert room.reach >= exact.reach == max(contexts, default=-1) + 1
    assert room.told >= exact.told == len(contexts) + sum(ends for _, ends in parts)
    assert room.chunk_tokens >= exact.chunk_tokens
    assert room.tokens >= exact.tokens
    assert room.reach <= LIMITS.max_tokens
    if parts:
        assert room.tokens - exact.tokens < TOKEN_STEP
        assert room.is_captured == exact.is_captured
    assert room.padded(LIMITS) == room, "a room is its own"


def test_rooms_of_captured_steps_are_few() -> None:
    rooms = {
        StepRoom.of(plan([context] * decodes, [(tokens, True)])).padded(LIMITS)
        for decodes in range(1, 65)
        for tokens in range(1, MOST_CAPTURED_TOKENS - decodes)
        for context in (700,)
    }
    assert len(rooms) <= 7 * MOST_CAPTURED_TOKENS // TOKEN_STEP
