"""Every manager under calls in any order, beside a model that only knows lengths.

On backings that hold bytes, every page carries a pattern of its own, which it must keep.
"""

from __future__ import annotations

import io
import itertools
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from allocator.backing import HostBacking
from allocator.interface import OutOfMemoryError
from allocator.pooled import PooledManager
from allocator.prefix.interface import PrefixSharing
from allocator.prefix.radix_cache import RadixCache
from allocator.spec import CacheKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from allocator.interface import CacheManager
    from allocator.page_table import PageTable
    from gpu_backend.byte_backing import ByteBacking
    from gpu_backend.guarded import GuardedBacking
    from tests.conftest import Design, MemoryCase

LENGTHS = st.integers(1, 70)
CHOICE = st.integers(0, 1000)


def grants(manager: CacheManager, sequences: list[int], tokens: int) -> bool:
    """Extend sequences one by one, as far as that goes; whether all of them got their room."""
    try:
        for sequence in sequences:
            manager.extend(sequence, tokens)
    except OutOfMemoryError:
        return False
    return True


def page_table_of(manager: CacheManager) -> PageTable:
    """Every design has one; that of a radix tree lies with its pools."""
    owner: Any = manager._pools if isinstance(manager, RadixCache) else manager  # noqa: SLF001
    table: PageTable = owner._table  # noqa: SLF001
    return table


class OnlyBooks(pickle.Pickler):
    """Leaves the bytes of a backing at home: what is pickled is its accounting."""

    def reducer_override(self, thing: object) -> Any:  # noqa: ANN401 - as `pickle` declares it
        books = getattr(thing, "books", None)
        return (_same, (books,)) if isinstance(books, HostBacking) else NotImplemented


def _same(thing: object) -> object:
    return thing


def dumped(manager: CacheManager) -> bytes:
    """All that a manager is, but for the bytes of its pages."""
    file = io.BytesIO()
    OnlyBooks(file).dump(manager)
    return file.getvalue()


class ManagerMachine(RuleBasedStateMachine):
    """The model is a dict of lengths and a set of handles that must stay dead."""

    def __init__(self, manager: CacheManager, case: MemoryCase) -> None:
        super().__init__()
        self.manager = manager
        self.case = case
        self.tokens: dict[int, int] = {}
        self.retired: set[int] = set()
        self.num_admitted = 0

    def any_sequence(self, choice: int) -> int:
        return list(self.tokens)[choice % len(self.tokens)]

    def handles(self, sequence: int) -> list[int]:
        groups = self.case.spec.groups
        return [h for group in groups for h in self.manager.block_table(sequence, group.name)]

    def places(self) -> dict[int, tuple[int, int]]:
        """Pool and page that each live handle names."""
        table = page_table_of(self.manager)
        return {h: table.page(h) for sequence in self.tokens for h in self.handles(sequence)}

    def sizes(self, manager: CacheManager) -> tuple[object, ...]:
        """What sequences were granted, whatever the pages."""
        usage = manager.usage()
        groups = [group.name for group in self.case.spec.groups]
        lengths = [len(manager.block_table(s, group)) for s in self.tokens for group in groups]
        live = [pool.num_live for pool in usage.pools]
        return live, lengths, usage.needed_bytes, usage.peak_granted_bytes

    def staying_handles(self, sequence: int) -> set[int]:
        """Handles that an extension must keep: all, unless states move at block boundaries."""
        moves = isinstance(self.manager, PrefixSharing) and self.manager.checkpoint_tokens > 0
        groups = [g for g in self.case.spec.groups if g.kind is CacheKind.ATTENTION or not moves]
        return {h for group in groups for h in self.manager.block_table(sequence, group.name)}

    def succeeds(self, call: Callable[[], None]) -> bool:
        """Whether a call succeeds; if it fails nothing may have changed."""
        before = dumped(self.manager)
        try:
            call()
        except OutOfMemoryError as error:
            failure = error
        else:
            return True
        assert failure.free <= failure.largest < failure.asked
        assert dumped(self.manager) == before
        return False

    @rule(tokens=LENGTHS)
    def admit(self, tokens: int) -> None:
        sequence = self.num_admitted
        self.num_admitted += 1
        if self.succeeds(lambda: self.manager.admit(sequence, tokens)):
            self.tokens[sequence] = tokens
            assert tokens <= self.manager.max_sequence_tokens

    @precondition(lambda self: self.tokens)
    @rule(choice=CHOICE, tokens=LENGTHS)
    def extend(self, choice: int, tokens: int) -> None:
        sequence = self.any_sequence(choice)
        before, staying = self.handles(sequence), self.staying_handles(sequence)
        if self.succeeds(lambda: self.manager.extend(sequence, tokens)):
            self.tokens[sequence] += tokens
            assert self.tokens[sequence] <= self.manager.max_sequence_tokens
            assert staying <= set(self.handles(sequence))
        else:
            assert before == self.handles(sequence)

    @precondition(lambda self: self.tokens)
    @rule(choices=st.sets(CHOICE, max_size=6), tokens=st.integers(0, 30))
    def extend_all(self, choices: set[int], tokens: int) -> None:
        """All or none, and whenever each in its turn would get its room, all of them do."""
        sequences = sorted({self.any_sequence(choice) for choice in choices})
        twin: CacheManager = pickle.loads(dumped(self.manager))  # noqa: S301 - our own
        fits_one_by_one = grants(twin, sequences, tokens)
        before = {sequence: self.staying_handles(sequence) for sequence in sequences}
        if not self.succeeds(lambda: self.manager.extend_all(sequences, tokens)):
            assert not fits_one_by_one
            return
        for sequence in sequences:
            self.tokens[sequence] += tokens
            assert before[sequence] <= set(self.handles(sequence))
        if fits_one_by_one:
            assert self.sizes(self.manager) == self.sizes(twin)

    @rule(next_tokens=st.one_of(st.just(0), LENGTHS))
    def prepare(self, next_tokens: int) -> None:
        """The step in flight uses every live page, so that none may change its place."""
        before = self.sizes(self.manager), self.places()
        copies = self.manager.backing.counters().copies
        self.manager.prepare(next_tokens)
        assert (self.sizes(self.manager), self.places()) == before
        assert self.manager.backing.counters().copies == copies

    @precondition(lambda self: self.tokens)
    @rule(choice=CHOICE)
    def release(self, choice: int) -> None:
        sequence = self.any_sequence(choice)
        self.retired.update(self.handles(sequence))
        self.manager.release(sequence)
        del self.tokens[sequence]

    @precondition(lambda self: len(self.tokens) > 2)
    @rule(tokens=LENGTHS)
    def fill_up(self, tokens: int) -> None:
        """Exhaustion, which single calls rarely reach."""
        for sequence in list(self.tokens):
            if not self.succeeds(lambda s=sequence: self.manager.extend(s, tokens)):  # type: ignore[misc]
                return
            self.tokens[sequence] += tokens

    @invariant()
    def is_sound(self) -> None:
        self.manager.check_integrity()

    @invariant()
    def accounts_for_its_bytes(self) -> None:
        usage = self.manager.usage()
        assert usage.needed_bytes == self.case.needed_bytes(list(self.tokens.values()))
        assert usage.needed_bytes <= usage.granted_bytes <= usage.peak_granted_bytes
        assert usage.granted_bytes <= usage.footprint_bytes <= self.case.budget_bytes

    @invariant()
    def no_handle_comes_back(self) -> None:
        live = [handle for sequence in self.tokens for handle in self.handles(sequence)]
        assert len(set(live)) == len(live)
        assert self.retired.isdisjoint(live)


def test_any_calls_in_any_order(
    new_manager: Callable[[], CacheManager], memory_case: MemoryCase
) -> None:
    class Machine(ManagerMachine):
        def __init__(self) -> None:
            super().__init__(new_manager(), memory_case)

    few = settings(max_examples=settings().max_examples // 4, stateful_step_count=40)
    run_state_machine_as_test(Machine, settings=few)


class GuardedMachine(ManagerMachine):
    """The manager runs over memory, and after each call every live page holds its own bytes."""

    def __init__(self, design: Design, case: MemoryCase, memory: ByteBacking) -> None:
        from gpu_backend.guarded import GuardedBacking  # noqa: PLC0415 - it needs torch

        self.guard: GuardedBacking = GuardedBacking(memory)
        super().__init__(design.build(case.spec, self.guard), case)

    @invariant()
    def keeps_every_byte(self) -> None:
        if not isinstance(self.manager, PooledManager):
            return  # extents of the bound have no pages; blocks with several holders no owner
        live = [handle for sequence in self.tokens for handle in self.handles(sequence)]
        places = {handle: self.manager.place(handle) for handle in live}
        pages = sorted((p.slab, p.offset_bytes, p.size_bytes) for p in places.values())
        for (slab, start, size), (other, after, _) in itertools.pairwise(pages):
            assert slab != other or start + size <= after
        self.guard.observe(places)
        assert self.guard.verify() == []
        assert self.guard.corrupted_pages == 0

    def teardown(self) -> None:
        self.guard.inner.close()


@pytest.mark.parametrize("byte_case", ["many-groups"], indirect=True)
def test_any_calls_keep_every_byte(
    paged_design: Design, byte_case: MemoryCase, new_memory: Callable[[MemoryCase], ByteBacking]
) -> None:
    class Machine(GuardedMachine):
        def __init__(self) -> None:
            super().__init__(paged_design, byte_case, new_memory(byte_case))

    few = settings(max_examples=2, stateful_step_count=12)
    run_state_machine_as_test(Machine, settings=few)
