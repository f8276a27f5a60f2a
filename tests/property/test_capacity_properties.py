"""What must hold of every sizing, whatever the model, the memory and the settings."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.registry import known_managers
from scenarios.capacity.engine import Question, Sizing, known_engines
from scenarios.capacity.run import size
from scenarios.model_file import known_models, load_model

GIB = 1 << 30
SETTINGS: dict[str, Any] = {
    "vllm": {
        "mamba_cache_mode": st.sampled_from(["none", "align", "all"]),
        "num_speculative_tokens": st.integers(0, 5),
        "block_size": st.sampled_from([16, 32, 64, 800]),
        "engine_version": st.sampled_from(["0.11.2", "0.19.1", "0.20.1", "0.24.0"]),
        "max_num_batched_tokens": st.integers(256, 16384),
    },
    "sglang": {
        "mamba_full_memory_ratio": st.floats(0.05, 5.0),
        "num_speculative_tokens": st.integers(0, 12),
        "max_running_requests": st.integers(0, 64),
        "max_mamba_cache_size": st.integers(0, 200),
        "radix_cache": st.sampled_from(["off", "no_buffer", "extra_buffer"]),
        "page_size": st.sampled_from([1, 64]),
        "unified_memory": st.booleans(),
    },
    "tensorrt-llm": {
        "max_num_seqs": st.integers(1, 512),
        "mamba_state_cache_interval": st.sampled_from([0, 256, 1024]),
    },
    "kvcached": {"page_mib": st.sampled_from([2, 4, 32]), "max_num_seqs": st.integers(1, 64)},
    "llama.cpp": {"max_num_seqs": st.integers(1, 64)},
}


@st.composite
def sizings(draw: st.DrawFn, engine: str) -> Sizing:
    model = load_model(draw(st.sampled_from(known_models())))
    question = Question(
        model,
        available_bytes=draw(st.integers(1, 200 * GIB)),
        max_model_len=draw(st.integers(1, 300_000)),
        kv_dtype=draw(st.sampled_from(["auto", "bf16", "fp8"])),
        state_dtype=draw(st.sampled_from(["auto", "bf16", "fp32"])),
    )
    chosen = {
        name: draw(strategy) for name, strategy in SETTINGS[engine].items() if draw(st.booleans())
    }
    return size(engine, question, chosen)


def test_every_engine_is_drawn() -> None:
    assert set(SETTINGS) == set(known_engines())


@pytest.mark.parametrize("engine", known_engines())
def test_every_byte_is_explained_and_none_twice(engine: str) -> None:
    @given(sizing=sizings(engine))
    @settings(max_examples=60)
    def check(sizing: Sizing) -> None:
        ledger = sizing.ledger()
        assert all(share.size_bytes >= 0 for share in ledger), ledger
        assert sum(share.size_bytes for share in ledger) == sizing.question.available_bytes

    check()


@pytest.mark.parametrize("engine", known_engines())
def test_concurrency_never_rises_with_length(engine: str) -> None:
    @given(sizing=sizings(engine), lengths=st.lists(st.integers(1, 400_000), min_size=2))
    @settings(max_examples=60)
    def check(sizing: Sizing, lengths: list[int]) -> None:
        found = [sizing.concurrency(length) for length in sorted(lengths)]
        assert found == sorted(found, reverse=True)

    check()


@given(sizing=sizings("vllm"))
@settings(max_examples=100)
def test_blocks_lie_within_the_memory_and_padding_is_never_negative(sizing: Sizing) -> None:
    figures = sizing.figures()
    block_bytes = figures["page_bytes"] * figures["layers_per_group"]
    assert figures["num_blocks"] * block_bytes <= sizing.question.available_bytes
    assert figures["page_padding_pct"] is None or figures["page_padding_pct"] >= 0
    assert figures["padding_layers"] >= 0


@given(sizing=sizings("vllm"))
@settings(max_examples=60)
def test_what_vllm_estimates_as_the_longest_request_is_the_longest(sizing: Sizing) -> None:
    model, question = sizing.question.model, sizing.question
    longest = sizing.figures()["max_context_tokens"]
    if not model.attention or any(kind.window for kind in model.attention):
        return  # a window's blocks depend on the length that was asked about
    if longest:
        assert sizing.concurrency(longest) >= 1
    if longest < question.max_model_len:
        assert sizing.refusals()


@pytest.mark.parametrize("allocator", ["avmp", "static", "two-ended", "shared-bytes", "jenga"])
def test_allocators_explain_every_byte_and_the_bound_holds_most(allocator: str) -> None:
    assert allocator in known_managers()
    for name in ("nemotron-h-8b", "falcon-h1-1.5b", "llama-3.1-8b", "mamba2-2.7b"):
        question = Question(load_model(name), 2 * GIB + 12345, max_model_len=3000)
        sizing, bound = size(allocator, question, {}), size("shared-bytes", question, {})
        ledger = sizing.ledger()
        assert sum(share.size_bytes for share in ledger) == question.available_bytes
        assert all(share.size_bytes >= 0 for share in ledger), ledger
        assert sizing.concurrency(3000) <= bound.concurrency(3000)
        assert sizing.concurrency(6000) <= sizing.concurrency(3000)
