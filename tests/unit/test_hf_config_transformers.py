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
