"""What contradicts itself in the configs of single families is said with the field's name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from scenarios.errors import UserError
from scenarios.hf_config.read import read_hf_config
from scenarios.layers.state_space import Mamba1
from tests.checkpoints import GRANITE, KIMI, LLAMA

if TYPE_CHECKING:
    from pathlib import Path

    from scenarios.model import Model

PLAIN = {name: value for name, value in LLAMA.items() if name != "model_type"}
SECOND = {
    "model_type": "mamba2",
    "hidden_size": 4096,
    "num_hidden_layers": 4,
    "num_heads": 128,
    "head_dim": 64,
    "vocab_size": 32768,
}


def read(folder: Path, values: dict[str, Any]) -> Model:
    (folder / "config.json").write_text(json.dumps(values))
    return read_hf_config(folder)


def linear(**changes: object) -> dict[str, Any]:
    return {"linear_attn_config": {**KIMI["linear_attn_config"], **changes}}


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({**PLAIN, "model_type": "bamba", "attn_layer_indices": [9, 32]}, "not among 32"),
        ({**PLAIN, "model_type": "jamba", "attn_layer_offset": 8}, "must be below attn_layer_per"),
        ({**PLAIN, "model_type": "minimax"}, "or attn_type_list must be given"),
        ({**PLAIN, "model_type": "recurrent_gemma", "block_types": ["rwkv"]}, "block_types may"),
        ({**KIMI, "linear_attn_config": None}, "linear_attn_config is missing, and so is"),
        ({**KIMI, **linear(kda_layers=list(range(28)))}, "lists 28 layers of 27"),
        ({**GRANITE, "mamba_d_head": 32}, "x mamba_n_heads is 1536, not 3072"),
        ({**SECOND, "num_heads": 127}, "x num_heads is 8128, not 8192"),
    ],
    ids=lambda value: value["model_type"] if isinstance(value, dict) else "",
)
def test_a_contradiction_names_the_field(
    tmp_path: Path, values: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(UserError, match=complaint) as error:
        read(tmp_path, values)
    assert "config.json" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_family_may_have_layers_of_one_kind_only(tmp_path: Path) -> None:
    everywhere = list(range(1, 28))
    model = read(tmp_path, {**KIMI, **linear(kda_layers=[])})
    assert (model.attention_layers, model.state_layers) == (27, 0)
    model = read(tmp_path, {**KIMI, **linear(kda_layers=everywhere)})
    assert (model.attention_layers, model.state_layers) == (0, 27)
    model = read(tmp_path, {**KIMI, "first_k_dense_replace": 27})
    assert model.num_experts == 0
    model = read(tmp_path, {**GRANITE, "layer_types": ["attention"] * 10})
    assert (model.attention_layers, model.state_layers) == (10, 0)


@pytest.mark.parametrize(("rank", "found"), [("auto", 256), (48, 48)])
def test_a_rank_of_time_steps_is_a_sixteenth_or_given(
    tmp_path: Path, rank: object, found: int
) -> None:
    model = read(tmp_path, {**PLAIN, "model_type": "jamba", "mamba_dt_rank": rank})
    assert isinstance(model.state, Mamba1)
    assert model.state.dt_rank == found


@pytest.mark.parametrize(
    ("weights", "name"),
    [
        ({"num_bits": 4, "type": "float"}, "nvfp4"),
        ({"num_bits": 4}, "int4"),
        ({"num_bits": 16}, "int8"),
        (None, "compressed-tensors"),
    ],
)
def test_compressed_tensors_say_it_in_their_first_group(
    tmp_path: Path, weights: object, name: str
) -> None:
    stored = {"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": weights}}}
    assert read(tmp_path, {**LLAMA, "quantization_config": stored}).body.quantization == name
