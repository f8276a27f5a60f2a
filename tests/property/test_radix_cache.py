"""Sequences with texts over a radix tree: it has what the set of all prefixes kept says it has."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from allocator.backing import HostBacking
from allocator.interface import Terms
from allocator.managers.sglang import Radix, SglangManager, SglangOptions, Strategy
from allocator.prefix.content import Content
from allocator.prefix.interface import PrefixSharing
from allocator.spec import CacheKind, CacheSpec
from tests.property.prefix_machine import (
    CHOICE,
    KV,
    LOCAL,
    SSM,
    TEXTS,
    PrefixMachine,
    Token,
    tokens_of,
)

LENGTH = 40
NO_BUFFER = SglangOptions(radix=Radix.ON)
EXTRA = SglangOptions(
    radix=Radix.ON, strategy=Strategy.EXTRA_BUFFER, page_size=2, grid=4, track_interval=8, states=4
)
DESIGNS = {
    "attention only": (CacheSpec((KV,)), NO_BUFFER),
    "pages of two": (CacheSpec((KV, LOCAL)), EXTRA),
    "hybrid": (CacheSpec((KV, SSM)), NO_BUFFER),
    "extra buffer": (CacheSpec((SSM, KV, LOCAL)), EXTRA),
    "state only": (CacheSpec((SSM,)), NO_BUFFER),
}


class RadixMachine(PrefixMachine):
    """The model: whole texts, and the sets of prefixes whose KV, and whose state, were kept.

    Nothing can be in the tree that was not kept; all that was kept is there as long as nothing
    was evicted.
    """

    def __init__(self, spec: CacheSpec, options: SglangOptions, num_granules: int) -> None:
        super().__init__()
        manager = SglangManager.build(spec, HostBacking(num_granules * 512, 512), options)
        assert isinstance(manager, PrefixSharing)
        self.manager, self.spec, self.options = manager, spec, options
        self.page = options.page_size
        self.has_kv = CacheKind.ATTENTION in spec.kinds()
        self.has_states = CacheKind.STATE in spec.kinds()
        self.texts: dict[int, list[Token]] = {}
        self.contents: dict[int, Content] = {}
        self.tokens: dict[int, int] = {}
        self.computed: dict[int, int] = {}
        self.forks: dict[int, int] = {}
        self.kv: set[tuple[Token, ...]] = set()
        self.states: set[tuple[Token, ...]] = set()
        self.num_admitted = 0
        self.past: list[list[tuple[int, int]]] = []

    def room_for_a_state(self) -> bool:
        return any(
            pool.num_pages > pool.num_live
            for pool, group in zip(self.manager.usage().pools, self.spec.groups, strict=True)
            if group.kind is CacheKind.STATE
        )

    def note_kept(self, number: int, end: int) -> None:
        """A text was kept up to a token, with a state there."""
        text = self.texts[number][: end - end % self.page]
        if end % self.page and self.has_states:
            return
        self.kv |= {tuple(text[:count]) for count in range(self.page, len(text) + 1, self.page)}
        self.states.add(tuple(text))

    def expected(self, text: list[Token]) -> tuple[int, int]:
        """What the model says is found, and how far KV goes: nothing was evicted."""
        depths = range(self.page, len(text) + 1, self.page)
        depth = max((n for n in depths if tuple(text[:n]) in self.kv), default=0)
        if not self.has_states:
            return depth, depth
        found = max((n for n in depths if tuple(text[:n]) in self.states), default=0)
        return found, depth

    @rule(pieces=TEXTS, chunk=st.integers(1, 30), whole=st.booleans())
    def admit(self, pieces: list[tuple[int, int]], chunk: int, *, whole: bool) -> None:
        self.enter([*pieces, (-1 - self.num_admitted, LENGTH)], chunk, whole=whole)

    @precondition(lambda self: self.past)
    @rule(choice=CHOICE, length=st.integers(1, LENGTH), chunk=st.integers(1, 30))
    def admit_again(self, choice: int, length: int, chunk: int) -> None:
        """A later turn: an earlier text as far as it was computed, and some more."""
        *pieces, (own, _) = self.past[-1 - choice % min(4, len(self.past))]
        self.enter([*pieces, (own, length), (-1 - self.num_admitted, LENGTH)], chunk, whole=True)

    def enter(self, pieces: list[tuple[int, int]], chunk: int, *, whole: bool) -> None:
        number = self.num_admitted
        self.num_admitted += 1
        self.past.append(pieces)
        content, text = Content(pieces), tokens_of(pieces)
        prefix = self.manager.find_prefix(content, len(text) - 1)
        assert prefix == self.manager.find_prefix(content, len(text) - 1)
        found, depth = self.expected(text[:-1])
        if self.manager.evictions().tokens == self.manager.evictions().states == 0:
            assert (prefix.tokens, prefix.tokens + prefix.stateless_tokens) == (found, depth)
        assert prefix.tokens <= found
        assert prefix.tokens + prefix.stateless_tokens <= depth
        assert (
            not prefix.tokens or not self.has_states or tuple(text[: prefix.tokens]) in self.states
        )
        tokens = min(prefix.tokens + chunk, len(text))
        terms = Terms(room_tokens=len(text) if whole else 0, prefix=prefix)
        if not self.has_room(self.manager.admit, number, tokens, terms):
            return
        self.texts[number], self.contents[number] = text, content
        self.tokens[number], self.computed[number] = tokens, prefix.tokens
        self.forks[number] = prefix.tokens + prefix.stateless_tokens

    @precondition(lambda self: self.tokens)
    @rule(choice=CHOICE, chunk=st.integers(1, 20))
    def extend(self, choice: int, chunk: int) -> None:
        number = self.any_sequence(choice)
        more = min(chunk, len(self.texts[number]) - self.tokens[number])
        if self.has_room(self.manager.extend, number, more):
            self.tokens[number] += more

    @precondition(lambda self: self.tokens)
    @rule(choice=CHOICE, chunk=st.integers(1, 20))
    def keep(self, choice: int, chunk: int) -> None:
        number = self.any_sequence(choice)
        start = self.computed[number]
        end = min(start + chunk, self.tokens[number])
        if end == start:
            return
        can = not self.has_states or self.room_for_a_state()
        self.manager.keep(number, end)
        self.computed[number] = end
        mark = end
        if self.has_states and self.options.strategy is Strategy.EXTRA_BUFFER:
            mark = start + (end - start) // 4 * 4
            fork = self.forks[number] // 4 * 4
            if start < fork < mark and (fork - start) % 4 == 0:
                mark = fork
        if can and mark > start:
            self.note_kept(number, mark)

    @precondition(lambda self: self.tokens)
    @rule(choice=CHOICE, finished=st.booleans())
    def end(self, choice: int, *, finished: bool) -> None:
        number = self.any_sequence(choice)
        end = self.tokens[number]
        if finished:
            self.manager.retire(number)
            if self.has_states and self.options.strategy is Strategy.EXTRA_BUFFER:
                end -= end % 8
            if end > self.computed[number]:
                self.note_kept(number, end)
        else:
            self.manager.release(number)
        for table in (self.tokens, self.texts, self.contents, self.computed, self.forks):
            del table[number]

    @invariant()
    def who_shares_a_page_agrees_on_all_before_it(self) -> None:
        for group in self.spec.groups:
            if group.kind is not CacheKind.ATTENTION:
                continue
            text_at: dict[int, list[Token]] = {}
            for number in self.tokens:
                table = self.manager.block_table(number, group.name)
                assert len(table) == -(-self.tokens[number] // self.page)
                for place, handle in enumerate(table):
                    text = self.texts[number][: (place + 1) * self.page]
                    assert text_at.setdefault(handle, text) == text

    @invariant()
    def every_sequence_has_a_state_of_its_own(self) -> None:
        for group in self.spec.groups:
            if group.kind is CacheKind.STATE:
                handles = [self.manager.block_table(s, group.name) for s in self.tokens]
                assert len(set(handles)) == len(handles)

    @invariant()
    def every_byte_is_accounted_for(self) -> None:
        usage = self.manager.usage()
        for pool in usage.pools:
            assert 0 <= pool.num_cached_states <= pool.num_cached
            assert pool.num_cached <= pool.num_pages - pool.num_live


@pytest.mark.parametrize("num_granules", [14, 40, 600])
@pytest.mark.parametrize("design", DESIGNS.values(), ids=list(DESIGNS))
def test_any_calls_in_any_order(design: tuple[CacheSpec, SglangOptions], num_granules: int) -> None:
    class Machine(RadixMachine):
        def __init__(self) -> None:
            super().__init__(*design, num_granules)

    run_state_machine_as_test(Machine, settings=settings(stateful_step_count=40, max_examples=12))
