"""Sequences with texts, over blocks that are shared: who shares a page agrees on all before it."""

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
from allocator.managers.vllm import Caching, VllmManager, VllmOptions
from allocator.prefix.content import Content
from allocator.prefix.interface import PrefixSharing
from allocator.spec import CacheKind, CacheSpec
from tests.property.prefix_machine import CHOICE, KV, LOCAL, SSM, TEXTS, PrefixMachine, tokens_of

BLOCK = 4
LENGTH = 60
SPECS = {
    "attention only": CacheSpec((KV,), BLOCK),
    "hybrid": CacheSpec((KV, SSM), BLOCK),
    "state first": CacheSpec((SSM, KV, LOCAL), BLOCK),
    "state only": CacheSpec((SSM,), BLOCK),
}


class SharingMachine(PrefixMachine):
    """The model is each sequence's whole text, and how much of it has room."""

    def __init__(self, spec: CacheSpec, num_blocks: int) -> None:
        super().__init__()
        options = VllmOptions(caching=Caching.ON)
        block_bytes = VllmManager.build(spec, HostBacking(1 << 20, 1024), options)
        size = block_bytes.usage().pools[0].page_bytes
        backing = HostBacking(num_blocks * size, 128)
        manager = VllmManager.build(spec, backing, options)
        assert isinstance(manager, PrefixSharing)
        self.manager, self.spec, self.block = manager, spec, manager.spec.page_tokens
        self.texts: dict[int, list[tuple[int, int]]] = {}
        self.contents: dict[int, Content] = {}
        self.tokens: dict[int, int] = {}
        self.num_admitted = 0

    @rule(pieces=TEXTS, chunk=st.integers(1, 30), whole=st.booleans())
    def admit(self, pieces: list[tuple[int, int]], chunk: int, *, whole: bool) -> None:
        number = self.num_admitted
        self.num_admitted += 1
        pieces = [*pieces, (-1 - number, LENGTH)]  # the last segment is nobody else's
        content, length = Content(pieces), len(tokens_of(pieces))
        prefix = self.manager.find_prefix(content, length - 1)
        assert prefix == self.manager.find_prefix(content, length - 1)
        assert prefix.tokens % self.block == 0
        assert prefix.tokens + prefix.stateless_tokens < length
        if prefix.is_pending:
            with pytest.raises(ValueError, match="wait for the next"):
                self.manager.admit(number, prefix.tokens + 1, Terms(prefix=prefix))
            return
        tokens = min(prefix.tokens + chunk, length)
        terms = Terms(room_tokens=length if whole else 0, prefix=prefix)
        if not self.has_room(self.manager.admit, number, tokens, terms):
            return
        self.texts[number], self.contents[number] = tokens_of(pieces), content
        self.tokens[number] = tokens

    @precondition(lambda self: self.tokens)
    @rule(choice=CHOICE, chunk=st.integers(1, 20))
    def extend(self, choice: int, chunk: int) -> None:
        number = self.any_sequence(choice)
        more = min(chunk, len(self.texts[number]) - self.tokens[number])
        self.manager.trim(number)
        if self.has_room(self.manager.extend, number, more):
            self.tokens[number] += more

    @precondition(lambda self: self.tokens)
    @rule(choice=CHOICE)
    def release(self, choice: int) -> None:
        number = self.any_sequence(choice)
        self.manager.release(number)
        del self.tokens[number], self.texts[number], self.contents[number]

    @precondition(lambda self: self.tokens)
    @rule(choice=CHOICE)
    def released_and_found_again(self, choice: int) -> None:
        """Right after its release the whole of a text is there, as far as states go."""
        number = self.any_sequence(choice)
        content, full = self.contents[number], self.tokens[number] // self.block * self.block
        self.manager.begin_step()
        self.release(choice)
        prefix = self.manager.find_prefix(content, full)
        kinds = self.spec.kinds()
        if CacheKind.ATTENTION in kinds:
            assert prefix.tokens + prefix.stateless_tokens == full
        if CacheKind.STATE not in kinds:
            assert prefix.tokens == full

    @rule()
    def begin_step(self) -> None:
        self.manager.begin_step()

    @invariant()
    def who_shares_a_page_agrees_on_all_before_it(self) -> None:
        for group in self.spec.groups:
            if group.kind is not CacheKind.ATTENTION:
                continue
            text_at: dict[int, list[tuple[int, int]]] = {}
            for number in self.tokens:
                table = self.manager.block_table(number, group.name)
                each = len(table) // -(-self.tokens[number] // self.block)
                for place, handle in enumerate(table):
                    text = self.texts[number][: (place // each + 1) * self.block]
                    assert text_at.setdefault(handle, text) == text


@pytest.mark.parametrize("num_blocks", [12, 40])
@pytest.mark.parametrize("spec", SPECS.values(), ids=list(SPECS))
def test_any_calls_in_any_order(spec: CacheSpec, num_blocks: int) -> None:
    class Machine(SharingMachine):
        def __init__(self) -> None:
            super().__init__(spec, num_blocks)

    run_state_machine_as_test(Machine, settings=settings(stateful_step_count=40))
