import json
from pathlib import Path
from typing import Any

import pytest

from scenarios.errors import UnknownNameError, UserError
from scenarios.model import Model
from scenarios.model_file import known_models, load_model

SPECS = Path(__file__).parents[3] / "shared" / "engines" / "model_specs.json"

# name: (attention layers, state layers, KV bytes a token, state bytes a layer, a sequence), tp 1
SIZES = {
    "bamba-9b": (3, 29, 12288, 2147840, 62287360),
    "falcon-h1-7b": (44, 44, 45056, 1594368, 70152192),
    "granite-4.0-h-tiny": (4, 36, 8192, 806400, 29030400),
    "jamba-1.5-mini": (4, 28, 16384, 311296, 8716288),
    "llama-3.1-8b": (32, 0, 131072, 0, 0),
    "nemotron-3-nano-30b-a3b": (6, 23, 6144, 2134016, 49082368),
    "nemotron-h-8b": (4, 24, 16384, 4255744, 102137856),
    "qwen3.5-9b": (8, 24, 32768, 2146304, 51511296),
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


def test_bytes_match_the_precomputed_table(model: Model, specs: dict[str, dict[str, Any]]) -> None:
    row = specs[model.name]
    assert set(model.kv_layer_bytes("bf16")) <= {row["kv_bytes_per_token_per_attn_layer_bf16"]}
    assert model.kv_bytes_per_token("bf16") == row["kv_bytes_per_token_bf16"]
    assert model.conv_bytes_per_layer() == row.get("conv_bytes_per_layer_bf16", 0)
    assert model.recurrent_bytes_per_layer("bf16") == row.get("ssm_bytes_per_layer_bf16", 0)
    assert model.recurrent_bytes_per_layer("fp32") == row.get("ssm_bytes_per_layer_fp32", 0)
    assert model.state_bytes_per_layer() == row.get("state_bytes_per_layer_default", 0)
    assert model.state_bytes_per_sequence() == row.get("state_bytes_per_seq_default", 0)
    assert model.state_bytes_per_sequence("bf16") == row.get("state_bytes_per_seq_all_bf16", 0)


def test_shape_and_status_match_the_precomputed_table(
    model: Model, specs: dict[str, dict[str, Any]]
) -> None:
    row = specs[model.name]
    statuses = {entry.table: entry.verification for entry in model.provenance}
    assert (model.attention_layers, model.state_layers) == (row["n_attn"], row["n_linear"])
    assert model.body.hidden_size == row["hidden"]
    assert statuses["attention"] == row["verification"]
    assert all(statuses[kind] == row["verification"] for kind in statuses if kind == row["mixer"])


def test_every_table_names_source_and_verification(model: Model) -> None:
    tables = {entry.table for entry in model.provenance}
    assert {"model", "dtypes", "attention", "parameters"} <= tables
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
