import json
from pathlib import Path
from typing import Any

import pytest

from scenarios.errors import UnknownNameError, UserError
from scenarios.model import Model
from scenarios.model_file import known_models, load_model

SPECS = Path(__file__).parents[3] / "shared" / "engines" / "model_specs.json"

ROWS = {
    "minimax-text-01": "minimax-text-01/m1",
    "qwen3.5-27b": "qwen3.5/3.6/3.8-27b",
    "qwen3.6-27b": "qwen3.5/3.6/3.8-27b",
    "qwen3.8-27b": "qwen3.5/3.6/3.8-27b",
    "qwen3.5-35b-a3b": "qwen3.5/3.6-35b-a3b",
    "qwen3.6-35b-a3b": "qwen3.5/3.6-35b-a3b",
}
"""Rows of the precomputed table that stand for several checkpoints."""

OTHERWISE = {
    "falcon-h1-34b": "the row has heads of 320; heads of 128 give the published 33.6 B parameters",
}
"""Models whose row is not followed, and why; the row is marked unverified."""

# name: (attention layers, state layers, KV bytes a token, state bytes a layer, a sequence), tp 1
SIZES = {
    "bamba-9b": (3, 29, 12288, 2147840, 62287360),
    "falcon-h1-0.5b": (36, 36, 18432, 403968, 14542848),
    "falcon-h1-1.5b": (24, 24, 24576, 1594368, 38264832),
    "falcon-h1-1.5b-deep": (66, 66, 67584, 798720, 52715520),
    "falcon-h1-34b": (72, 72, 147456, 2127872, 153206784),
    "falcon-h1-3b": (32, 32, 32768, 2124800, 67993600),
    "falcon-h1-7b": (44, 44, 45056, 1594368, 70152192),
    "gemma-3-12b": (48, 0, 393216, 0, 0),
    "gemma-3-27b": (62, 0, 507904, 0, 0),
    "gemma-3-4b": (34, 0, 139264, 0, 0),
    "gpt-oss-120b": (36, 0, 73728, 0, 0),
    "gpt-oss-20b": (24, 0, 49152, 0, 0),
    "granite-4.0-h-1b": (4, 36, 8192, 806400, 29030400),
    "granite-4.0-h-micro": (4, 36, 8192, 1074688, 38688768),
    "granite-4.0-h-small": (4, 36, 16384, 2147840, 77322240),
    "granite-4.0-h-tiny": (4, 36, 8192, 806400, 29030400),
    "jamba-1.5-large": (9, 63, 36864, 622592, 39223296),
    "jamba-1.5-mini": (4, 28, 16384, 311296, 8716288),
    "jamba-v0.1": (4, 28, 16384, 311296, 8716288),
    "kimi-linear-48b-a3b": (7, 20, 8064, 2170880, 43417600),
    "lfm2-1.2b": (6, 10, 12288, 8192, 81920),
    "lfm2-2.6b": (8, 22, 16384, 8192, 180224),
    "lfm2-350m": (6, 10, 12288, 4096, 40960),
    "lfm2-700m": (6, 10, 12288, 6144, 61440),
    "lfm2-8b-a1b": (6, 18, 12288, 8192, 147456),
    "llama-3.1-8b": (32, 0, 131072, 0, 0),
    "mamba-2.8b": (0, 64, 0, 194560, 12451840),
    "mamba-codestral-7b-v0.1": (0, 64, 0, 2158592, 138149888),
    "mamba2-2.7b": (0, 64, 0, 1342976, 85950464),
    "minimax-text-01": (10, 70, 40960, 4194304, 293601280),
    "nemotron-3-nano-30b-a3b": (6, 23, 6144, 2134016, 49082368),
    "nemotron-3-super-120b-a12b": (8, 40, 8192, 4255744, 170229760),
    "nemotron-h-47b": (5, 44, 20480, 16900096, 743604224),
    "nemotron-h-56b": (10, 54, 40960, 16900096, 912605184),
    "nemotron-h-8b": (4, 24, 16384, 4255744, 102137856),
    "nemotron-nano-12b-v2": (6, 28, 24576, 5316608, 148865024),
    "nemotron-nano-9b-v2": (4, 27, 16384, 5316608, 143548416),
    "qwen3-8b": (36, 0, 147456, 0, 0),
    "qwen3-next-80b-a3b": (12, 36, 24576, 1097728, 39518208),
    "qwen3.5-0.8b": (6, 18, 12288, 1085440, 19537920),
    "qwen3.5-122b-a10b": (12, 36, 24576, 4268032, 153649152),
    "qwen3.5-27b": (16, 48, 65536, 3207168, 153944064),
    "qwen3.5-2b": (6, 18, 12288, 1085440, 19537920),
    "qwen3.5-35b-a3b": (10, 30, 20480, 2146304, 64389120),
    "qwen3.5-397b-a17b": (15, 45, 30720, 4268032, 192061440),
    "qwen3.5-4b": (8, 24, 32768, 2146304, 51511296),
    "qwen3.5-9b": (8, 24, 32768, 2146304, 51511296),
    "qwen3.6-27b": (16, 48, 65536, 3207168, 153944064),
    "qwen3.6-35b-a3b": (10, 30, 20480, 2146304, 64389120),
    "qwen3.8-27b": (16, 48, 65536, 3207168, 153944064),
    "recurrentgemma-2b": (8, 18, 8192, 25600, 460800),
    "recurrentgemma-9b": (12, 26, 12288, 40960, 1064960),
    "zamba2-2.7b": (9, 54, 184320, 686848, 37089792),
    "zamba2-7b": (13, 81, 372736, 962048, 77925888),
}


@pytest.fixture(params=known_models())
def model(request: pytest.FixtureRequest) -> Model:
    return load_model(request.param)


@pytest.fixture(scope="module")
def specs() -> dict[str, dict[str, Any]]:
    if not SPECS.exists():
        pytest.skip("the table of precomputed figures is not beside this checkout")
    return {row["name"].lower(): row for row in json.loads(SPECS.read_text())["models"]}


@pytest.fixture
def row(model: Model, specs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    name = ROWS.get(model.name, model.name)
    if name not in specs:
        pytest.skip("the table of precomputed figures has no row of this model")
    if model.name in OTHERWISE:
        assert "unverified" in specs[name]["verification"]
        pytest.skip(OTHERWISE[model.name])
    return specs[name]


def test_every_row_that_has_figures_is_a_model(specs: dict[str, dict[str, Any]]) -> None:
    named = {ROWS.get(name, name) for name in known_models()}
    left_out = {
        "samba-3.8b",
        "hymba-1.5b",
        "phi-4-mini-flash",
    }  # layers share caches, or no figures
    assert set(specs) - named == left_out


def test_the_literal_figures_cover_every_model() -> None:
    assert set(SIZES) == set(known_models())


def test_bytes_match_the_literal_figures(model: Model) -> None:
    assert SIZES[model.name] == (
        model.attention_layers,
        model.state_layers,
        model.kv_bytes_per_token(),
        model.state_bytes_per_layer(),
        model.state_bytes_per_sequence(),
    )


def test_bytes_match_the_precomputed_table(model: Model, row: dict[str, Any]) -> None:
    assert set(model.kv_layer_bytes("bf16")) <= {row["kv_bytes_per_token_per_attn_layer_bf16"]}
    assert model.kv_bytes_per_token("bf16") == row["kv_bytes_per_token_bf16"]
    assert model.conv_bytes_per_layer() == row.get("conv_bytes_per_layer_bf16", 0)
    assert model.recurrent_bytes_per_layer("bf16") == row.get("ssm_bytes_per_layer_bf16", 0)
    assert model.recurrent_bytes_per_layer("fp32") == row.get("ssm_bytes_per_layer_fp32", 0)
    assert model.state_bytes_per_layer() == row.get("state_bytes_per_layer_default", 0)
    assert model.state_bytes_per_sequence() == row.get("state_bytes_per_seq_default", 0)
    assert model.state_bytes_per_sequence("bf16") == row.get("state_bytes_per_seq_all_bf16", 0)


def test_shape_and_status_match_the_precomputed_table(model: Model, row: dict[str, Any]) -> None:
    statuses = {entry.table: entry.verification for entry in model.provenance}
    assert (model.attention_layers, model.state_layers) == (row["n_attn"], row["n_linear"])
    assert model.body.hidden_size == row["hidden"]
    kinds = [kind for kind in statuses if kind.endswith("attention") or kind == row["mixer"]]
    assert kinds
    assert all(statuses[kind] == row["verification"] for kind in kinds)


def test_every_table_names_source_and_verification(model: Model) -> None:
    tables = {entry.table for entry in model.provenance}
    assert {"model", "dtypes", "parameters"} <= tables
    assert model.attention or model.state
    assert all(entry.source and entry.verification for entry in model.provenance)


def test_tensor_parallelism_splits_heads_and_copies_the_last_one() -> None:
    qwen = load_model("qwen3.5-9b")
    assert qwen.kv_layer_bytes(tp=4) == (1024,)
    assert qwen.kv_layer_bytes(tp=8) == (1024,)
    assert qwen.state_bytes_per_layer(tp=4) == 2146304 // 4


def test_state_groups_are_copied_where_they_cannot_be_split() -> None:
    # Bamba has one group: at tp 4 each device keeps one of 4, so the two of B and C stay whole.
    bamba = load_model("bamba-9b")
    assert bamba.conv_bytes_per_layer(tp=4) == (8192 // 4 + 2 * 128) * 3 * 2
    assert bamba.recurrent_bytes_per_layer(tp=4) == 2097152 // 4
    nemotron = load_model("nemotron-h-8b")
    assert nemotron.conv_bytes_per_layer(tp=4) == 61440 // 4


def test_dtypes_scale_bytes_and_leave_the_convolution_alone() -> None:
    nemotron = load_model("nemotron-h-8b")
    assert nemotron.kv_bytes_per_token("fp8") * 2 == nemotron.kv_bytes_per_token("fp16")
    assert nemotron.state_bytes_per_layer("fp16") == 61440 + 2097152
    assert nemotron.state_bytes_per_layer("auto") == nemotron.state_bytes_per_layer("fp32")


@pytest.mark.parametrize(
    ("name", "tp", "what"),
    [
        ("falcon-h1-7b", 8, "12 query heads"),
        ("jamba-1.5-mini", 3, "32 query heads"),
        ("llama-3.1-8b", 0, "32 query heads"),
        ("granite-4.0-h-tiny", 6, "4 KV heads"),
    ],
)
def test_heads_that_cannot_be_shared_are_refused(name: str, tp: int, what: str) -> None:
    with pytest.raises(UserError, match=rf"--tp {tp} cannot split {what}"):
        load_model(name).kv_layer_bytes(tp=tp)


def test_state_heads_that_cannot_be_shared_are_refused() -> None:
    with pytest.raises(UserError, match="--tp 5 cannot split 112 state heads"):
        load_model("zamba2-7b").state_bytes_per_layer(tp=5)


def test_unknown_dtypes_list_the_known_ones() -> None:
    bamba = load_model("bamba-9b")
    with pytest.raises(UnknownNameError, match="unknown KV dtype 'fp4': use one of "):
        bamba.kv_bytes_per_token("fp4")
    with pytest.raises(UnknownNameError, match="unknown state dtype 'fp8'"):
        bamba.state_bytes_per_layer("fp8")


def test_unknown_models_list_the_nearest_first() -> None:
    with pytest.raises(UnknownNameError) as error:
        load_model("Bamba-9")
    assert str(error.value).startswith("unknown model 'Bamba-9': use one of bamba-9b, ")
    assert all(name in str(error.value) for name in known_models())
