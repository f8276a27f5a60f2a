"""Configs as `transformers` writes them: counts and cache shapes are the library's own."""

import json
from pathlib import Path
from typing import Any

import pytest

from scenarios.hf_config.family import known_families
from scenarios.hf_config.read import read_hf_config

torch = pytest.importorskip("torch", reason="parameter counts need torch's meta device")
transformers = pytest.importorskip("transformers", reason="counts are those of transformers")

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "jamba": ("jamba", {}),
    "jamba-dense": ("jamba", {"num_experts": 1, "num_hidden_layers": 8}),
    "bamba": ("bamba", {"attn_layer_indices": [9, 18, 27], "mamba_d_state": 128}),
    "zamba2": ("zamba2", {"n_mamba_heads": 80, "num_mem_blocks": 2}),
    "zamba2-adapters": ("zamba2", {"use_shared_attention_adapter": True, "n_mamba_heads": 80}),
    "nemotron-h": (
        "nemotron_h",
        {"layers_block_type": ["linear_attention", "mlp", "full_attention", "mlp"] * 3},
    ),
    "nemotron-h-moe": ("nemotron_h", {"n_routed_experts": 16, "moe_intermediate_size": 1856}),
    "nemotron-h-latent": ("nemotron_h", {"moe_latent_size": 1024}),
    "granite-moe": ("granitemoehybrid", {"num_key_value_heads": 8}),
    "granite-dense": ("granitemoehybrid", {"num_local_experts": 0, "tie_word_embeddings": True}),
    "falcon-h1": ("falcon_h1", {}),
    "falcon-h1-norm": ("falcon_h1", {"mamba_rms_norm": True, "attention_bias": True}),
    "qwen3-next": ("qwen3_next", {}),
    "qwen3.5": ("qwen3_5_text", {}),
    "qwen3.5-moe": ("qwen3_5_moe_text", {}),
    "kimi-linear": ("kimi_linear", {}),
    "minimax": ("minimax", {}),
    "lfm2": ("lfm2", {"layer_types": ["conv", "full_attention"] * 4, "num_hidden_layers": 8}),
    "lfm2-moe": (
        "lfm2_moe",
        {"layer_types": ["conv", "full_attention"] * 4, "num_hidden_layers": 8},
    ),
    "recurrent-gemma": ("recurrent_gemma", {"num_key_value_heads": 1, "intermediate_size": 15360}),
    "mamba": ("mamba", {}),
    "falcon-mamba": ("falcon_mamba", {}),
    "mamba2": ("mamba2", {}),
    "llama": ("llama", {"num_key_value_heads": 8, "attention_bias": True, "mlp_bias": True}),
    "mistral": ("mistral", {}),
    "qwen2": ("qwen2", {}),
    "qwen3": ("qwen3", {}),
    "qwen3-moe": ("qwen3_moe", {"mlp_only_layers": [0, 1]}),
    "gemma3": ("gemma3_text", {}),
    "gpt-oss": ("gpt_oss", {}),
}


def config_of(kind: str, changed: dict[str, Any]) -> Any:  # noqa: ANN401 - a class of the library
    mapping = transformers.models.auto.configuration_auto.CONFIG_MAPPING
    if kind not in mapping:
        pytest.skip(f"this version of transformers has no {kind}")
    return mapping[kind](**changed)


def written(config: Any, folder: Path) -> Path:  # noqa: ANN401 - likewise
    file = folder / "config.json"
    file.write_text(json.dumps(config.to_dict(), default=str))
    return file


def test_every_architecture_has_a_variant() -> None:
    assert {kind for kind, _ in VARIANTS.values()} >= set(known_families()) - {
        "minimax_text_01",  # these two only exist as remote code
        "minimax_m1",
    }


@pytest.mark.parametrize("variant", VARIANTS)
def test_parameters_are_those_of_the_class(variant: str, tmp_path: Path) -> None:
    config = config_of(*VARIANTS[variant])
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    counted = sum(weight.numel() for weight in model.parameters())
    assert read_hf_config(written(config, tmp_path)).total_parameters == counted


SMALL = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 99,
}
STATE = {"mamba_n_heads": 8, "mamba_d_head": 16, "mamba_d_state": 16}
BOTH = {"num_hidden_layers": 2, "layer_types": ["linear_attention", "full_attention"]}
RUNS: dict[str, dict[str, Any]] = {
    "bamba": {**SMALL, **STATE, "num_hidden_layers": 2, "attn_layer_indices": [1]},
    "falcon_h1": {**SMALL, **STATE, "num_hidden_layers": 1, "mamba_d_ssm": 128},
    "jamba": {
        **SMALL,
        "num_hidden_layers": 2,
        "attn_layer_period": 2,
        "attn_layer_offset": 1,
        "num_experts": 2,
        "mamba_dt_rank": 4,
    },
    "lfm2": {**SMALL, "num_hidden_layers": 2, "layer_types": ["conv", "full_attention"]},
    "llama": {**SMALL, "num_hidden_layers": 1},
    "mamba2": {
        "num_hidden_layers": 1,
        "hidden_size": 64,
        "vocab_size": 99,
        "num_heads": 8,
        "head_dim": 16,
        "state_size": 16,
        "n_groups": 2,
    },
    "nemotron_h": {
        **SMALL,
        "layers_block_type": ["linear_attention", "full_attention"],
        "head_dim": 16,
        "mamba_num_heads": 8,
        "mamba_head_dim": 16,
        "ssm_state_size": 16,
        "n_groups": 2,
    },
    "qwen3_5_text": {
        **SMALL,
        **BOTH,
        "head_dim": 16,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "linear_key_head_dim": 16,
        "linear_value_head_dim": 16,
    },
    "zamba2": {
        "num_hidden_layers": 2,
        "layers_block_type": ["linear_attention", "hybrid"],
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_attention_heads": 4,
        "n_mamba_heads": 8,
        "mamba_headdim": 16,
        "mamba_d_state": 16,
        "vocab_size": 99,
    },
}
TOKENS = 7


@pytest.mark.parametrize("kind", RUNS)
def test_caches_have_the_shapes_that_the_class_makes(kind: str, tmp_path: Path) -> None:
    config = config_of(kind, {**RUNS[kind], "pad_token_id": 0})
    model = read_hf_config(written(config, tmp_path))
    kv, conv, recurrent = cached_elements(config)
    layers = zip(model.attention, model.kv_layer_bytes("fp8"), strict=True)
    assert kv == TOKENS * sum(part.layers * elements for part, elements in layers)
    if model.state is None:
        assert (conv, recurrent) == (0, 0)
        return
    # The library keeps one input of the convolution more than vLLM does.
    width = model.state.conv_width  # type: ignore[attr-defined] # every mixer that runs here has one
    assert conv * (width - 1) == model.state_layers * model.state.conv_elements(1) * width
    assert recurrent == model.state_layers * model.state.recurrent_elements(1)


def cached_elements(config: Any) -> tuple[int, int, int]:  # noqa: ANN401 - a class of the library
    """Elements of keys and values, of convolution states, and of recurrent states."""
    # Experts have no form on the meta device, so a small model really runs.
    model = transformers.AutoModelForCausalLM.from_config(config)
    tokens = torch.ones((1, TOKENS), dtype=torch.long)
    with torch.no_grad():
        cache = model(input_ids=tokens, use_cache=True).cache
    states = {"conv_states": 0, "recurrent_states": 0}
    for layer in cache.layers:
        for name in states:
            parts = getattr(layer, name, {}).values()
            states[name] += sum(part.numel() for part in parts if part is not None)
    pairs = [(layer.keys, layer.values) for layer in cache.layers if hasattr(layer, "keys")]
    kv = sum(keys.numel() + values.numel() for keys, values in pairs)
    return kv, states["conv_states"], states["recurrent_states"]
