import json
from pathlib import Path
from typing import Any

import pytest

from scenarios.capacity.budget import BudgetOptions, budget_of
from scenarios.device import load_device
from scenarios.errors import UserError
from scenarios.hf_config.read import read_hf_config
from scenarios.layers.attention import LatentAttention, SlidingAttention
from scenarios.layers.state_space import Mamba2
from scenarios.model import Model
from scenarios.model_choice import choose_model
from scenarios.model_file import load_model
from tests.checkpoints import GRANITE, KIMI, LLAMA, NEMOTRON


@pytest.fixture
def read(tmp_path: Path) -> Any:  # noqa: ANN401 - a function
    def reader(values: object) -> Model:
        file = tmp_path / "config.json"
        file.write_text(values if isinstance(values, str) else json.dumps(values))
        return read_hf_config(tmp_path)

    return reader


def shape(model: Model) -> tuple[Any, ...]:
    return (
        model.attention,
        model.state,
        model.mlp,
        model.moe,
        model.total_parameters,
        model.kv_bytes_per_token(),
        model.state_bytes_per_sequence(),
    )


@pytest.mark.parametrize(
    ("config", "name"),
    [(LLAMA, "llama-3.1-8b"), (NEMOTRON, "nemotron-nano-9b-v2"), (KIMI, "kimi-linear-48b-a3b")],
)
def test_a_config_and_the_file_of_the_same_model_agree(
    read: Any,  # noqa: ANN401
    config: dict[str, Any],
    name: str,
) -> None:
    assert shape(read(config)) == shape(load_model(name))


def test_layers_by_the_names_of_older_configs(read: Any) -> None:  # noqa: ANN401
    model = read(GRANITE)
    assert (model.attention_layers, model.state_layers) == (1, 9)
    assert isinstance(model.state, Mamba2)
    assert model.state.head_dim == 64
    assert model.body.tied_embeddings


def test_the_language_model_of_a_multimodal_config(read: Any) -> None:  # noqa: ANN401
    text = {**LLAMA, "model_type": "gemma3_text", "sliding_window": 1024, "head_dim": 128}
    whole = {"model_type": "gemma3", "text_config": text, "vision_config": {"hidden_size": 1152}}
    model = read(whole)
    full, sliding = model.attention
    assert (full.layers, sliding.layers) == (5, 27)
    assert isinstance(sliding, SlidingAttention)
    assert sliding.window == 1024


def test_latent_attention_keeps_one_vector_for_all_heads(read: Any) -> None:  # noqa: ANN401
    model = read(KIMI)
    assert isinstance(model.attention[0], LatentAttention)
    assert model.kv_layer_bytes(tp=1) == model.kv_layer_bytes(tp=8) == (1152,)
    with pytest.raises(UserError, match="no form for latent attention"):
        model.kv_layer_bytes("nvfp4")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"hidden_size": None}, "hidden_size is missing"),
        ({"hidden_size": 0}, "hidden_size must be a whole number from 1 on, not 0"),
        ({"hidden_size": 2**63}, "hidden_size must be a whole number"),
        ({"hidden_size": "4096"}, "hidden_size must be a whole number"),
        ({"hidden_size": True}, "hidden_size must be a whole number"),
        ({"num_key_value_heads": 5}, "num_key_value_heads 5 does not divide 32 heads"),
        ({"num_attention_heads": 24, "num_key_value_heads": 8}, "head_dim is missing, and 4096"),
        ({"model_type": "lama"}, "unknown architecture 'lama': use one of llama"),
        ({"model_type": None}, "unknown architecture"),
        ({"torch_dtype": "int3"}, "torch_dtype is 'int3': use one of bfloat16"),
        ({"tie_word_embeddings": 1}, "tie_word_embeddings must be true or false"),
        ({"rope_theta": "fast"}, "rope_theta must be a number above 0"),
        ({"rope_theta": float("nan")}, "rope_theta must be a number above 0"),
    ],
)
def test_faults_of_a_plain_model_name_the_field(
    read: Any,  # noqa: ANN401
    change: dict[str, Any],
    complaint: str,
) -> None:
    with pytest.raises(UserError, match=complaint) as error:
        read({**LLAMA, **change})
    assert "config.json" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"num_hidden_layers": 55}, "has 56 entries, but num_hidden_layers is 55"),
        ({"hybrid_override_pattern": "M-X*"}, "has the letter 'X'"),
        ({"hybrid_override_pattern": None}, "or hybrid_override_pattern must be given"),
        ({"layers_block_type": ["mamba", "rwkv"]}, "names 'rwkv': known are"),
        ({"layers_block_type": "mamba"}, "must be a list of texts"),
    ],
)
def test_contradictions_of_a_hybrid_name_the_field(
    read: Any,  # noqa: ANN401
    change: dict[str, Any],
    complaint: str,
) -> None:
    with pytest.raises(UserError, match=complaint):
        read({**NEMOTRON, **change})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("{", "not valid JSON"), ("[]", "holds no JSON object"), ("[" * 100_000, "not valid JSON")],
)
def test_what_is_no_config_is_said(read: Any, text: str, complaint: str) -> None:  # noqa: ANN401
    with pytest.raises(UserError, match=complaint):
        read(text)


def test_a_model_is_chosen_by_name_file_or_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    assert choose_model("llama-3.1-8b") == load_model("llama-3.1-8b")
    assert choose_model(str(tmp_path)) == choose_model(str(tmp_path / "config.json"))
    assert choose_model(str(tmp_path)).name == tmp_path.name
    with pytest.raises(UserError, match="is not there"):
        choose_model(str(tmp_path / "none.json"))
    with pytest.raises(UserError, match=r"unknown model 'lama-3': use one of llama-3\.1-8b"):
        choose_model("lama-3")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match=r"holds no config\.json"):
        choose_model(str(empty))


@pytest.mark.parametrize(
    ("stored", "name"),
    [
        ({"quant_method": "fp8"}, "fp8"),
        ({"quant_method": "gptq", "bits": 8}, "int8"),
        ({"quant_method": "awq"}, "int4"),
        ({"quant_method": "mxfp4"}, "mxfp4"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "nvfp4"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "int4"),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 8, "type": "float"}}},
            },
            "fp8",
        ),
    ],
)
def test_a_checkpoint_says_how_its_weights_are_stored(
    read: Any,  # noqa: ANN401
    stored: dict[str, Any],
    name: str,
) -> None:
    assert read({**LLAMA, "quantization_config": stored}).body.quantization == name


def test_an_unknown_quantisation_asks_for_the_option(read: Any) -> None:  # noqa: ANN401
    model = read({**LLAMA, "quantization_config": {"quant_method": "new"}})
    device = load_device("h200")
    with pytest.raises(UserError, match="'new': use one of"):
        budget_of(model, device, BudgetOptions())
    assert budget_of(model, device, BudgetOptions(quantization="int8")).available_bytes > 0
