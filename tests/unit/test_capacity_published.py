"""What real engines printed, and rows of vLLM's own planning functions, come out exactly."""

import json
from pathlib import Path
from typing import Any

import pytest

from scenarios.capacity.answer import to_json
from scenarios.capacity.budget import BudgetOptions
from scenarios.capacity.run import CapacityAsk, capacity

CASES = Path(__file__).parents[3] / "shared" / "engines" / "published_cases.json"
GIB, MIB = 1 << 30, 1 << 20
DTYPES = {1: "fp8", 2: "bf16", 4: "fp32"}
MODELS = {"qwen3.5/3.6/3.8-27b": "qwen3.5-27b", "minimax-text-01/m1": "minimax-text-01"}

ORACLE_COLUMNS = {
    "block_size": "block_size_tokens",
    "raw_state_page": "state_page_bytes",
    "page_size": "page_bytes",
    "pad_pct": "page_padding_pct",
    "groups": "cache_groups",
    "group_layers": "layers_per_group",
    "num_blocks": "num_blocks",
    "kv_tokens": "kv_cache_tokens",
    "max_concurrency": "max_concurrency",
    "old_kv_tokens": "kv_cache_tokens_old_formula",
}
DECIMALS = {"pad_pct": 2, "max_concurrency": 4}
"""What the rows round to; everything else is a whole number."""


def answer(  # noqa: PLR0913 - what a case says
    model: str,
    *,
    engine: str = "vllm",
    gib: float = 40.0,
    tp: int = 1,
    tokens: int | None = None,
    kv: str = "auto",
    state: str = "auto",
    **settings: Any,  # noqa: ANN401 - settings of any engine
) -> dict[str, Any]:
    budget = BudgetOptions(memory_gib=gib, tp=tp)
    ask = CapacityAsk(model, engine, None, budget, tokens, kv, state, settings)
    return to_json(capacity(ask))


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    if not CASES.exists():
        pytest.skip("the published cases are not beside this checkout")
    cases: dict[str, Any] = json.loads(CASES.read_text())
    return cases


def test_every_oracle_row(published: dict[str, Any]) -> None:
    for row in published["oracle_vllm_0_24_0"]:
        name = row["model"].lower()
        found = answer(
            MODELS.get(name, name),
            gib=row["avail_gib"],
            tp=row["tp"],
            tokens=row["max_model_len"],
            kv=DTYPES[row["kv_bytes"]],
            state=DTYPES[row["ssm_bytes"]],
            mamba_cache_mode=row["mode"],
            num_speculative_tokens=row["num_spec"],
        )
        own = {column: found[key] for column, key in ORACLE_COLUMNS.items()}
        for column, digits in DECIMALS.items():
            own[column] = None if own[column] is None else round(own[column], digits)
        assert own == {column: row[column] for column in ORACLE_COLUMNS}, name


def test_every_case_is_compared_or_explained(published: dict[str, Any]) -> None:
    # V40 and S09 are behaviour over time; docs/validation.md says what becomes of them.
    compared = {"V01", "V03", "V09", "V15", "V16", "V17", "V18", "V19", "V21"}
    compared |= {"S01", "S03", "S06", "K01", "L01", "L03"}
    assert {case["id"] for case in published["cases"]} - compared == {"V40", "S09"}


def test_v01_and_v03_tokens_and_concurrency_in_align() -> None:
    found = answer("qwen3.6-35b-a3b", gib=5.98, tokens=131072, kv="fp8", mamba_cache_mode="align")
    assert (found["block_size_tokens"], found["num_blocks"]) == (2096, 299)
    assert found["kv_cache_tokens"] == 567_978
    assert round(found["max_concurrency"], 2) == 4.33
    found = answer("qwen3.8-27b", gib=4.99, tp=2, tokens=131072, kv="fp8", mamba_cache_mode="align")
    assert (found["block_size_tokens"], found["kv_cache_tokens"]) == (1568, 302_921)
    assert round(found["max_concurrency"], 2) == 2.31


def test_v09_a_draft_layer_pads_the_linear_ones() -> None:
    found = answer(
        "qwen3.6-27b", gib=11.06, tp=2, kv="fp8", num_speculative_tokens=1, engine_version="0.18"
    )
    assert found["padding_layers"] == 3
    assert 100 * found["padding_layers"] / 48 == 6.25  # the engine counts the linear layers alone


@pytest.mark.parametrize(
    ("model", "settings", "block"),
    [
        ("qwen3.8-27b", {"kv": "bf16", "mamba_cache_mode": "align"}, 784),  # V15
        ("nemotron-nano-9b-v2", {"state": "bf16", "kv": "bf16"}, 672),  # V16
        ("nemotron-nano-9b-v2", {"kv": "bf16"}, 1312),  # V16's note: today's fp32
        ("granite-4.0-h-tiny", {"mamba_cache_mode": "all", "mamba_chunk": 256}, 512),  # V17
    ],
)
def test_block_sizes(model: str, settings: dict[str, Any], block: int) -> None:
    assert answer(model, **settings)["block_size_tokens"] == block


def test_v17_a_state_in_tokens() -> None:
    found = answer("granite-4.0-h-tiny")
    assert found["state_page_bytes"] / 1024 == 787.5
    assert -(-found["state_page_bytes"] // 2048) == 394


def test_v18_a_padded_page_is_66_pages_of_attention() -> None:
    found = answer("nemotron-3-nano-30b-a3b", tp=4, kv="bf16")
    assert (found["state_page_bytes"], found["page_bytes"]) == (533_504, 540_672)
    assert found["page_bytes"] / (16 * 512) == 66


def test_v19_refused_with_the_default_number_of_sequences() -> None:
    shape: dict[str, Any] = {"gib": 3.86, "tp": 2, "tokens": 122_633, "kv": "bf16"}
    found = answer("qwen3.8-27b", **shape, max_num_seqs=256)
    assert (found["num_blocks"], found["kv_cache_tokens"]) == (161, 123_399)
    assert found["max_context_tokens"] == 123_872
    assert found["startup_refused"]
    assert "256 exceeds the 161 blocks" in found["refusals"][0]["rule"]
    assert found["refusals"][0]["remedy"] == "--max-num-seqs 161"
    assert not answer("qwen3.8-27b", **shape, max_num_seqs=161)["startup_refused"]


def test_v21_the_budget_side_is_a_range_by_how_weights_are_stored() -> None:
    # The report prints 969 blocks and does not say how the weights are stored.
    assert blocks_on_h100("none") == (388, 430)
    assert blocks_on_h100("fp8") == (721, 904)
    least, most = blocks_on_h100("nvfp4")
    assert least <= 969 <= most


def blocks_on_h100(quantization: str) -> tuple[int, int]:
    budget = BudgetOptions(quantization=quantization, utilization=0.90)
    settings = {"max_num_seqs": 1024}
    result = capacity(
        CapacityAsk("qwen3.6-27b", "vllm", "h100-80gb", budget, 132_000, settings=settings)
    )
    found = to_json(result)
    block = found["page_bytes"] * found["layers_per_group"]
    assert block == 51_380_224
    assert found["startup_refused"] == (found["num_blocks"] < 1024)
    return result.budget.least_bytes // block, result.budget.most_bytes // block


def test_s01_printed_sizes_with_drafts() -> None:
    found = answer(
        "qwen3.8-27b",
        engine="sglang",
        state="bf16",
        max_mamba_cache_size=4,
        max_running_requests=1,
        num_speculative_tokens=12,
        radix_cache="extra_buffer_lazy",
    )
    sizes = [found[name] for name in ("conv_bytes", "ssm_bytes", "intermediate_ssm_bytes")]
    assert [round(size / GIB, 2) for size in sizes] == [0.01, 0.35, 1.69]
    assert found["max_running_requests"] == 1


def test_s03_and_s06_slots() -> None:
    assert answer("qwen3.8-27b", engine="sglang")["state_slot_bytes"] == 153_944_064
    small = answer("qwen3.8-27b", engine="sglang", state="bf16")["state_slot_bytes"]
    assert round(small / MIB, 2) == 74.81
    found = answer(
        "qwen3.8-27b", engine="sglang", max_mamba_cache_size=40, num_speculative_tokens=3
    )
    assert found["max_running_requests"] == 8


def test_k01_cells_of_pages_of_4_mib() -> None:
    found = answer("qwen3.5-9b", engine="kvcached", page_mib=4, max_num_seqs=2)
    assert (found["state_bytes"], found["state_cell_bytes"]) == (2_146_304, 4_194_304)
    assert found["state_pool_bytes"] == 192 * MIB
    assert round(found["state_padding_bytes"] / GIB, 2) == 0.09


def test_l01_and_l03_buffers_of_llama_cpp() -> None:
    found = answer("qwen3.5-9b", engine="llama.cpp")
    assert (found["conv_bytes"] / MIB, found["state_bytes"] / MIB) == (2.25, 48.0)
    found = answer("falcon-h1-1.5b", engine="llama.cpp", tokens=32768, kv="fp16")
    assert round(found["conv_bytes"] / MIB, 2) == 0.98
    assert (found["state_bytes"] / MIB, found["kv_bytes"] / MIB) == (72.0, 768.0)
