"""Managers held against each other: the bound accepts most, and avmp at rest is static."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from allocator.interface import OutOfMemoryError
from allocator.managers.avmp import AvmpManager, AvmpOptions, Trigger
from allocator.managers.static import StaticManager, StaticOptions
from allocator.spec import Granularity

if TYPE_CHECKING:
    from collections.abc import Callable

    from allocator.backing import HostBacking
    from allocator.interface import CacheManager
    from tests.conftest import Design, MemoryCase

# Fixtures of these tests are immutable: a design, a case, and functions that build afresh.
PURE_FIXTURES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass(frozen=True)
class Call:
    """One call on a manager."""

    kind: str
    sequence: int
    tokens: int

    def make(self, manager: CacheManager) -> str:
        """Make the call; returns "done", or what was raised."""
        try:
            if self.kind == "admit":
                manager.admit(self.sequence, self.tokens)
            elif self.kind == "extend":
                manager.extend(self.sequence, self.tokens)
            else:
                manager.release(self.sequence)
        except (OutOfMemoryError, ValueError, KeyError) as error:
            return repr(error)
        return "done"


KINDS = st.sampled_from(["admit", "admit", "extend", "extend", "release"])
CALLS = st.lists(st.builds(Call, KINDS, st.integers(0, 15), st.integers(1, 90)), min_size=15)


@PURE_FIXTURES
@given(calls=CALLS)
def test_what_any_manager_accepts_the_bound_accepts(
    design: Design,
    memory_case: MemoryCase,
    host_memory_for: Callable[[MemoryCase], HostBacking],
    new_bound: Callable[[], CacheManager],
    calls: list[Call],
) -> None:
    manager = design.build(memory_case.spec, host_memory_for(memory_case))
    bound = new_bound()
    for call in calls:
        if call.make(manager) == "done":
            assert call.make(bound) == "done"
    assert manager.usage().needed_bytes == bound.usage().needed_bytes
    assert manager.max_sequence_tokens <= bound.max_sequence_tokens


def tables(manager: CacheManager) -> list[tuple[int, ...]]:
    found = []
    for sequence in range(16):
        for group in manager.spec.groups:
            try:
                found.append(tuple(manager.block_table(sequence, group.name)))
            except KeyError:
                found.append(())
    return found


@pytest.mark.parametrize("granularity", Granularity)
@PURE_FIXTURES
@given(calls=CALLS, ratio=st.floats(0.01, 0.99))
def test_avmp_without_a_trigger_is_static_call_for_call(
    memory_case: MemoryCase,
    host_memory_for: Callable[[MemoryCase], HostBacking],
    granularity: Granularity,
    calls: list[Call],
    ratio: float,
) -> None:
    off = AvmpOptions(state_ratio=ratio, trigger=Trigger.OFF, granularity=granularity)
    avmp = AvmpManager(memory_case.spec, host_memory_for(memory_case), off)
    plain = StaticOptions(state_ratio=ratio, granularity=granularity)
    static = StaticManager(memory_case.spec, host_memory_for(memory_case), plain)
    assert avmp.max_sequence_tokens == static.max_sequence_tokens
    for call in calls:
        assert call.make(avmp) == call.make(static)
        assert avmp.usage() == static.usage()
    assert tables(avmp) == tables(static)
    assert avmp.take_migrations() == []
    assert avmp.backing.counters() == static.backing.counters()
