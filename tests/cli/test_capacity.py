from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.checkpoints import LLAMA

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

    Twinpool = Callable[..., Outcome]

COMMON = {"schema_version", "twinpool_version", "command", "seed", "scenario_digest"}
KEYS = {
    "vllm": {
        *("block_size_tokens", "state_page_bytes", "page_bytes", "page_padding_pct"),
        *("cache_groups", "layers_per_group", "num_blocks", "blocks_per_request"),
        *("max_concurrency", "kv_cache_tokens", "kv_cache_tokens_old_formula"),
        *("startup_refused", "max_context_tokens"),
    },
    "sglang": {
        *("state_slot_bytes", "max_mamba_cache_size", "conv_bytes", "ssm_bytes", "kv_tokens"),
        "max_running_requests",
    },
    "llama.cpp": {"conv_bytes", "state_bytes", "kv_bytes"},
    "avmp": {"max_concurrency"},
}


@pytest.mark.parametrize("engine", KEYS)
def test_json_has_the_keys_of_the_contract(twinpool: Twinpool, engine: str) -> None:
    outcome = twinpool(
        *("capacity", "--model", "qwen3.5-9b", "--engine", engine, "--memory-gib", 20, "--json")
    )
    found = outcome.json()
    assert found.keys() >= COMMON | KEYS[engine] | {"available_bytes", "explanation"}
    assert found["available_bytes"] == 20 << 30
    ledger = found["explanation"]["ledger"]
    assert sum(share["size_bytes"] for share in ledger) == 20 << 30


def test_a_device_gives_the_budget_and_says_how(twinpool: Twinpool) -> None:
    arguments = ("capacity", "--model", "qwen3.5-9b", "--device", "h200")
    found = twinpool(*arguments, "--json").json()
    terms = {term["name"]: term for term in found["explanation"]["budget"]}
    weights = terms["weights"]
    assert weights["least_bytes"] == weights["most_bytes"] == 2 * 8_953_803_264
    spread = found["available_bytes_at_most"] - found["available_bytes_at_least"]
    assert spread == 2 << 30
    quantised = twinpool(*arguments, "--quantization", "fp8", "--json").json()
    assert quantised["available_bytes"] > found["available_bytes"]
    text = twinpool(*arguments).stdout
    assert "weights" in text
    assert "KV useful" in text


def test_a_refusal_names_the_setting_that_passes(twinpool: Twinpool) -> None:
    arguments = ("capacity", "--model", "qwen3.8-27b", "--tp", 2, "--memory-gib", 3.86)
    length = ("--max-model-len", 122_633)
    found = twinpool(*arguments, *length, "--max-num-seqs", 256, "--json").json()
    assert found["startup_refused"]
    assert found["refusals"][0]["remedy"] == "--max-num-seqs 161"
    assert "Try --max-num-seqs 161" in twinpool(*arguments, *length, "--max-num-seqs", 256).stderr
    automatic = twinpool(*arguments, *length, "--max-num-seqs", "auto", "--json").json()
    assert not automatic["startup_refused"]
    assert automatic["max_num_seqs"] == 161


def test_engines_and_allocators_side_by_side(twinpool: Twinpool) -> None:
    others = "sglang,avmp:batch=32,unit=4,two-ended,shared-bytes"
    arguments = ("capacity", "--model", "nemotron-h-8b", "--memory-gib", 10, "--compare", others)
    found = twinpool(*arguments, "--json").json()
    names = [entry["engine"] for entry in found["compared"]]
    assert names == ["sglang", "avmp:batch=32,unit=4", "two-ended", "shared-bytes"]
    bound = found["compared"][-1]["max_concurrency"]
    assert all(entry["max_concurrency"] <= bound for entry in found["compared"])


def test_settings_for_the_lengths_of_a_trace(twinpool: Twinpool) -> None:
    arguments = ("capacity", "--model", "qwen3.5-9b", "--memory-gib", 20)
    trace = ("--trace", "azure-like:n=500", "--json")
    vllm = twinpool(*arguments, *trace).json()["recommendation"]
    assert 0 < vllm["max_num_seqs"] <= vllm["concurrency"]
    sglang = twinpool(*arguments, "--engine", "sglang", *trace).json()["recommendation"]
    # 5 slots a request over 32 KiB a token times the mean length; SGLang keeps fp32 states
    slot, token = 24 * (49_152 + 4 * 524_288), 32_768
    assert sglang["mamba_full_memory_ratio"] == pytest.approx(
        5 * slot / token / round(sglang["mean_tokens"])
    )
    shown = twinpool(*arguments, *trace[:2]).stdout
    assert "For the lengths of" in shown
    assert re.search(rf"max num seqs +{vllm['max_num_seqs']:,}\b", shown)


@pytest.mark.parametrize("engine", ["kvcached", "avmp", "static"])
def test_the_length_that_a_refusal_names_is_the_longest(twinpool: Twinpool, engine: str) -> None:
    arguments = ("capacity", "--model", "nemotron-h-8b", "--memory-gib", 1, "--engine", engine)

    def refused(tokens: int) -> bool:
        return bool(twinpool(*arguments, "--max-model-len", tokens, "--json").json()["refusals"])

    asked = twinpool(*arguments, "--max-model-len", 10_000_000, "--json").json()
    (refusal,) = asked["refusals"]
    assert refusal["rule"] == "one request of 10,000,000 tokens does not fit"
    option, longest = refusal["remedy"].split()
    assert option == "--max-model-len"
    assert not refused(int(longest))
    assert refused(int(longest) + 1)


@pytest.mark.parametrize(
    ("slots", "rule"),
    [(1, "1 state slots, and a running request reserves"), (10_000, "leave no memory for KV")],
)
def test_sglang_refuses_slots_that_are_too_few_or_all(
    twinpool: Twinpool, slots: int, rule: str
) -> None:
    arguments = ("capacity", "--model", "nemotron-h-8b", "--memory-gib", 4, "--engine", "sglang")
    found = twinpool(*arguments, "--max-mamba-cache-size", slots, "--json").json()
    (refusal,) = found["refusals"]
    assert rule in refusal["rule"]


def test_a_config_file_stands_for_a_model(twinpool: Twinpool, tmp_path: Path) -> None:
    config = {**LLAMA, "max_position_embeddings": 131072}
    (tmp_path / "config.json").write_text(json.dumps(config))
    named = twinpool("capacity", "--model", "llama-3.1-8b", "--memory-gib", 20, "--json").json()
    given = twinpool("capacity", "--model", tmp_path, "--memory-gib", 20, "--json").json()
    assert given["kv_cache_tokens"] == named["kv_cache_tokens"] == 163_840
    assert given["parameters"] == named["parameters"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--model", "lama"), "unknown model 'lama'"),
        (
            ("--model", "qwen3.5-9b", "--memory-gib", "9", "--engine", "vlm"),
            "unknown engine 'vlm': use one of vllm",
        ),
        (("--model", "qwen3.5-9b"), "--device NAME, or --memory-gib X"),
        (("--model", "qwen3.5-9b", "--memory-gib", "0"), "--memory-gib must be above 0"),
        (("--model", "qwen3.5-9b", "--memory-gib", "nan"), "--memory-gib must be above 0"),
        (("--model", "mamba-2.8b", "--memory-gib", "9"), "give --max-model-len"),
        (
            ("--model", "qwen3.5-9b", "--memory-gib", "9", "--max-running-requests", "4"),
            "--max-running-requests is no setting of vllm",
        ),
        (
            ("--model", "qwen3.5-9b", "--memory-gib", "9", "--mamba-cache-mode", "al"),
            "unknown mamba cache mode 'al'",
        ),
        (
            ("--model", "qwen3.5-9b", "--memory-gib", "9", "--max-num-seqs", "many"),
            "--max-num-seqs must be",
        ),
        (
            ("--model", "qwen3.5-9b", "--memory-gib", "9", "--kv-dtype", "fp3"),
            "unknown KV dtype 'fp3'",
        ),
        (("--model", "qwen3.5-9b", "--memory-gib", "9", "--tp", "3"), "--tp 3 cannot split"),
        (("--model", "qwen3.5-122b-a10b", "--device", "rtx-4090"), "does not fit rtx-4090"),
        (
            ("--model", "qwen3.5-9b", "--memory-gib", "9", "--engine-version", "new"),
            "--engine-version new is no version",
        ),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    twinpool: Twinpool, arguments: tuple[str, ...], sentence: str
) -> None:
    outcome = twinpool("capacity", *arguments)
    assert outcome.exit_code == 2
    assert sentence in outcome.stderr
    assert outcome.stderr.count("\n") == 1
    assert not outcome.stdout
