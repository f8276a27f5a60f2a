"""The radix tree over a real trace: with unlimited memory it finds all that its ids repeat."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path

import pytest

from allocator.backing import HostBacking
from allocator.interface import Terms
from allocator.managers.sglang import Radix, SglangManager, SglangOptions, Strategy
from allocator.prefix.interface import PrefixSharing
from allocator.spec import CacheGroup, CacheKind, CacheSpec
from sim.request import content_of
from traces.load import load_trace

TRACE = Path(__file__).parents[3] / "shared/traces/conversation_trace.jsonl.gz"
KV = CacheGroup("kv", CacheKind.ATTENTION, 1, 16)
SPEC = CacheSpec((KV,))
HYBRID = CacheSpec((KV, CacheGroup("ssm", CacheKind.STATE, 1, 64)))
PAGE = 16
OPTIONS = SglangOptions(radix=Radix.ON, strategy=Strategy.EXTRA_BUFFER, page_size=PAGE)
PUBLISHED_BLOCKS_PCT, PUBLISHED_TOKENS_PCT = 36.6, 37.4
"""Leading blocks found again with an unlimited cache, of all blocks and prompt tokens."""


@pytest.mark.skipif(not TRACE.exists(), reason="the public traces are not here")
def test_with_unlimited_memory_it_finds_all_that_repeats() -> None:
    """One request after the other, so that nothing is computed twice at once."""
    trace = load_trace(str(TRACE))
    manager = SglangManager.build(SPEC, HostBacking(1 << 31), OPTIONS)
    assert isinstance(manager, PrefixSharing)
    seen: set[int] = set()  # an id stands for a block and all before it
    found = prompt = found_blocks = blocks = 0
    for request in trace:
        prefix = manager.find_prefix(content_of(request), request.prompt_tokens)
        number, ids = request.request_id, [block for block, _ in request.text]
        leading = sum(1 for _ in takewhile(seen.__contains__, ids))
        there = sum(tokens for _, tokens in request.text[:leading])
        assert prefix.tokens == there - there % PAGE
        seen.update(ids)
        found, prompt = found + prefix.tokens, prompt + request.prompt_tokens
        found_blocks, blocks = found_blocks + leading, blocks + len(ids)
        manager.admit(number, request.prompt_tokens + 1, Terms(prefix=prefix))
        manager.keep(number, request.prompt_tokens)
        manager.retire(number)
    assert manager.evictions().tokens == 0
    assert 100 * found_blocks / blocks == pytest.approx(PUBLISHED_BLOCKS_PCT, abs=0.05)
    assert 100 * found / prompt == pytest.approx(PUBLISHED_TOKENS_PCT, abs=0.05)


@pytest.mark.skipif(not TRACE.exists(), reason="the public traces are not here")
@pytest.mark.parametrize(
    ("strategy", "found_pct"), [(Strategy.NO_BUFFER, 20.0), (Strategy.EXTRA_BUFFER, 25.2)]
)
def test_states_cost_hits_even_where_memory_lasts(strategy: Strategy, found_pct: float) -> None:
    """Of 29.4 % that KV alone finds in these requests; the figures of docs/engine.md."""
    trace, chunk = load_trace(str(TRACE)), 8192
    options = SglangOptions(radix=Radix.ON, strategy=strategy, ratio=0.02)
    manager = SglangManager.build(HYBRID, HostBacking(520 << 20), options)
    assert isinstance(manager, PrefixSharing)
    found = prompt = 0
    for number in range(2000):
        request = trace.request(number)
        prefix = manager.find_prefix(content_of(request), request.prompt_tokens - 1)
        found, prompt = found + prefix.tokens, prompt + request.prompt_tokens
        manager.admit(number, request.prompt_tokens, Terms(prefix=prefix))
        for end in range(prefix.tokens + chunk, request.prompt_tokens, chunk):
            manager.keep(number, end)
        manager.keep(number, request.prompt_tokens)
        manager.extend(number, request.output_tokens - 1)
        manager.retire(number)
    assert manager.evictions().states == 0
    assert 100 * found / prompt == pytest.approx(found_pct, abs=0.05)
