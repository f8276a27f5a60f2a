"""vLLM's blocks by hand, and against what its own functions and its users' logs have printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from allocator.backing import HostBacking
from allocator.interface import OutOfMemoryError
from allocator.managers.vllm import BlockPlan, Mode, Version, VllmManager, VllmOptions
from allocator.spec import CacheGroup, CacheKind, CacheSpec

FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "engines"
GIB = 1 << 30


def hybrid(attention: tuple[int, int], state: tuple[int, int]) -> CacheSpec:
    """Layers and bytes of a layer: a token's, a state's; a count of 0 leaves the kind out."""
    kinds = (
        ("kv", CacheKind.ATTENTION, *attention),
        ("ssm", CacheKind.STATE, *state),
    )
    return CacheSpec(tuple(CacheGroup(*each) for each in kinds if each[2]))


NEMOTRON_H_8B = hybrid((4, 4096), (24, 4_255_744))
QWEN_3_5_9B = hybrid((8, 4096), (24, 2_146_304))


def published(name: str) -> Any:  # noqa: ANN401 - JSON
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"{name}: the published cases are not beside the repository")
    return json.loads(path.read_text())


def blocks_held(manager: VllmManager, tokens: int) -> int:
    manager.admit(0, tokens)
    held = manager.usage().pools[0].num_live
    manager.release(0)
    return held


@pytest.mark.parametrize(
    ("spec", "gib", "expected", "num_blocks"),
    [
        (NEMOTRON_H_8B, 40, BlockPlan(1040, 4_259_840, 4, (1, 6)), 2520),
        (QWEN_3_5_9B, 30, BlockPlan(528, 2_162_688, 8, (1, 3)), 1861),
    ],
)
def test_plans_by_hand(spec: CacheSpec, gib: int, expected: BlockPlan, num_blocks: int) -> None:
    """Nemotron-H-8B: 16 x ceil(4255744 / 65536) = 16 x 65; Qwen3.5-9B: 16 x ceil(32.75)."""
    plan = BlockPlan.of(spec, VllmOptions())
    assert plan == expected
    assert plan.num_blocks(gib * GIB) == num_blocks
    manager = VllmManager(spec, HostBacking(gib * GIB), VllmOptions())
    (pool,) = manager.usage().pools
    assert pool.num_pages == num_blocks - 1  # without the null block
    assert pool.page_bytes == plan.block_bytes


@pytest.mark.parametrize(
    ("mode", "drafted", "blocks"),
    [
        (Mode.NONE, 0, 5 + 6),
        (Mode.NONE, 1, 5 + 6 * 2),
        (Mode.ALIGN, 0, 5 + 6 * 2),
        (Mode.ALIGN, 3, 5 + 6 * 5),
        (Mode.ALL, 0, 5 + 6 * 5),
        (Mode.ALL, 2, 5 + 6 * 7),
    ],
)
def test_blocks_of_a_request_of_5000_tokens(mode: Mode, drafted: int, blocks: int) -> None:
    """Blocks of 1,040 tokens: five hold 5,000; six groups hold the 24 state layers."""
    options = VllmOptions(mode=mode, speculative_tokens=drafted)
    manager = VllmManager(NEMOTRON_H_8B, HostBacking(8 * GIB), options)
    assert blocks_held(manager, 5000) == blocks


def test_drafts_of_mode_all_are_held_but_stand_in_no_table() -> None:
    options = VllmOptions(mode=Mode.ALL, speculative_tokens=2)
    manager = VllmManager(NEMOTRON_H_8B, HostBacking(8 * GIB), options)
    manager.admit(0, 1040)
    manager.extend(0, 1)
    assert len(manager.block_table(0, "ssm")) == 2 * 6
    manager.check_integrity()
    with pytest.raises(KeyError):
        manager.block_table(0, "ssm drafts")


def test_in_mode_all_a_block_is_a_multiple_of_the_chunk() -> None:
    """V17: 806,400 bytes of state are 394 tokens of 2,048 bytes; chunks of 256 make 512."""
    options = VllmOptions(mode=Mode.ALL, chunk=256)
    assert BlockPlan.of(hybrid((4, 2048), (36, 806_400)), options).block_tokens == 512
    assert BlockPlan.of(hybrid((4, 2048), (36, 806_400)), VllmOptions()).block_tokens == 400


@pytest.mark.parametrize(
    ("layers", "version", "per_group", "groups"),
    [
        ((10, 14), Version.SMALLEST, 10, (1, 2)),
        ((10, 14), Version.SMALLEST_OR_LARGEST, 14, (1, 1)),
        ((10, 15), Version.SMALLEST_OR_LARGEST, 10, (1, 2)),  # 15 is not below 1.5 x 10
        ((17, 48), Version.SMALLEST_OR_LARGEST, 17, (1, 3)),  # V09: 3 slots of 48 are padding
    ],
)
def test_layers_of_a_group(
    layers: tuple[int, int], version: Version, per_group: int, groups: tuple[int, int]
) -> None:
    spec = hybrid((layers[0], 1024), (layers[1], 2048))
    plan = BlockPlan.of(spec, VllmOptions(version=version))
    assert (plan.layers_per_group, plan.groups) == (per_group, groups)


def test_one_kind_alone_keeps_its_own_size() -> None:
    llama = BlockPlan.of(hybrid((32, 4096), (0, 0)), VllmOptions())
    assert llama == BlockPlan(16, 65_536, 32, (1,))
    assert llama.num_blocks(20 * GIB) == 10_240
    mamba = BlockPlan.of(hybrid((0, 0), (48, 1000)), VllmOptions(mode=Mode.ALL))
    assert mamba == BlockPlan(16, 1008, 48, (1,))


def test_the_null_block_is_external_and_padding_internal_waste() -> None:
    manager = VllmManager(NEMOTRON_H_8B, HostBacking(8 * GIB), VllmOptions())
    usage, block = manager.usage(), 17_039_360
    assert 8 * GIB // block == 504
    assert usage.external_waste_bytes == 8 * GIB - 503 * block
    manager.admit(0, 1040)
    assert manager.usage().internal_waste_bytes == 6 * block - 24 * 4_255_744


def test_the_longest_sequence_leaves_the_null_block_alone() -> None:
    """V19: 161 blocks, 3 of them states, estimate 158 x 784 tokens; the null block is one less."""
    spec = hybrid((16, 2048), (48, 1_603_584))
    manager = VllmManager(spec, HostBacking(161 * 25_690_112, 128), VllmOptions())
    assert manager.max_sequence_tokens == 157 * 784
    assert blocks_held(manager, 122_633) == 160
    with pytest.raises(OutOfMemoryError, match="pool blocks: 161 asked, 160 free, 160 at most"):
        manager.admit(0, 157 * 784 + 1)


@pytest.mark.parametrize(("name", "value"), [("speculative_tokens", -1), ("chunk", 0)])
def test_impossible_options_are_refused(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=name):
        VllmOptions(**{name: value})  # type: ignore[arg-type]


def oracle_models() -> list[str]:
    path = FOLDER / "published_cases.json"
    if not path.exists():
        return ["none"]
    return [row["model"] for row in json.loads(path.read_text())["oracle_vllm_0_24_0"]]


@pytest.mark.parametrize("model", oracle_models())
def test_what_the_planning_functions_of_vllm_0_24_printed(model: str) -> None:
    rows = published("published_cases.json")["oracle_vllm_0_24_0"]
    row = next(row for row in rows if row["model"] == model)
    models = published("model_specs.json")["models"]
    layers = next(m for m in models if m["name"] == model)
    token_bytes = row["page_size"] // row["block_size"]
    spec = hybrid((layers["n_attn"], token_bytes), (layers["n_linear"], row["raw_state_page"]))
    backing, options = HostBacking(row["avail_gib"] * GIB), VllmOptions(mode=Mode(row["mode"]))
    manager = VllmManager(spec, backing, options)
    plan, num_blocks = manager.plan, manager.plan.num_blocks(row["avail_gib"] * GIB)
    assert (plan.block_tokens, plan.page_bytes) == (row["block_size"], row["page_size"])
    assert (plan.layers_per_group, sum(plan.groups)) == (row["group_layers"], row["groups"])
    assert num_blocks == row["num_blocks"]
    per_request = blocks_held(manager, row["max_model_len"])
    assert num_blocks / per_request == pytest.approx(row["max_concurrency"], abs=5e-5)
    assert num_blocks * row["max_model_len"] // per_request == row["kv_tokens"]
    if row["pad_pct"] is not None:
        padding = plan.page_bytes - row["raw_state_page"]
        assert round(100 * padding / row["raw_state_page"], 2) == row["pad_pct"]


# Bytes of a layer's token and state on one device; layers of either kind; mode.
PRINTED = {
    "V01": (hybrid((10, 1024), (30, 2_146_304)), Mode.ALIGN),
    "V03": (hybrid((16, 1024), (48, 1_603_584)), Mode.ALIGN),
    "V15": (hybrid((16, 4096), (48, 3_207_168)), Mode.ALIGN),
    "V16": (hybrid((4, 4096), (27, 2_695_168)), Mode.NONE),
    "V18": (hybrid((6, 512), (23, 533_504)), Mode.NONE),
    "V19": (hybrid((16, 2048), (48, 1_603_584)), Mode.NONE),
}


@pytest.mark.parametrize("case", PRINTED)
def test_what_engines_printed(case: str) -> None:
    """Budgets are printed with two decimals, so blocks may be one off; tokens follow from both."""
    cases = published("published_cases.json")["cases"]
    row = next(each for each in cases if each["id"] == case)
    expected, inputs = row["reproduced"] | row["observed"], row["inputs"]
    spec, mode = PRINTED[case]
    plan = BlockPlan.of(spec, VllmOptions(mode=mode))
    assert plan.block_tokens == expected.get("block_size", plan.block_tokens)
    assert plan.page_bytes == expected.get("mamba_page_padded", plan.page_bytes)
    padding = 100 * (plan.page_bytes / spec.groups[1].layer_bytes - 1)
    assert round(padding, 2) == expected.get("pad_pct", round(padding, 2))
    if "num_blocks" in expected:
        num_blocks = plan.num_blocks(int(inputs["avail_gib"] * GIB))
        assert num_blocks == pytest.approx(expected["num_blocks"], abs=1)
        manager = VllmManager(spec, HostBacking(6 * GIB), VllmOptions(mode=mode))
        per_request = blocks_held(manager, inputs["max_model_len"])
        tokens = expected["num_blocks"] * inputs["max_model_len"] // per_request
        assert tokens == expected["kv_tokens"]
