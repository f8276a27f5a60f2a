"""Nemotron-H: every layer is one of Mamba2, attention, MLP or experts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.hf_config.family import (
    FULL,
    LINEAR,
    Family,
    Parts,
    check_length,
    grouped_attention,
    layer_kinds,
)
from scenarios.layers.feed_forward import Mlp, Moe
from scenarios.layers.state_space import Mamba2

if TYPE_CHECKING:
    from scenarios.hf_config.config import Config

MLP, MOE = "mlp", "moe"
_LETTERS = {"M": LINEAR, "*": FULL, "-": MLP, "E": MOE}
_STATE_DTYPES = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}


class NemotronH(Family):
    """Layers come as a list, or in older checkpoints as a pattern of one letter a layer."""

    name = "nemotron-h"
    model_types = ("nemotron_h",)

    def parts(self, config: Config) -> Parts:
        """See `Family.parts`; the recurrent state is fp32 unless the config says otherwise."""
        kinds = _kinds(config)
        mlps, bias = kinds.count(MLP), config.flag("attention_bias")
        width = config.count("intermediate_size", default=21504)
        return Parts(
            attention=grouped_attention(config, kinds.count(FULL), qkv_bias=bias, output_bias=bias),
            state=_mamba2(config, kinds.count(LINEAR)),
            mlp=Mlp(mlps, width, gated=False) if mlps else None,
            moe=_moe(config, kinds.count(MOE)),
            recurrent_state=_STATE_DTYPES.get(config.text("mamba_ssm_cache_dtype"), "fp32"),
            mtp_layers=config.count("num_nextn_predict_layers", default=0, least=0),
        )


def _kinds(config: Config) -> list[str]:
    kinds = layer_kinds(config, "layers_block_type", (LINEAR, FULL, MLP, MOE))
    pattern = config.text("hybrid_override_pattern")
    if not kinds and not pattern:
        raise config.fault("layers_block_type", "or hybrid_override_pattern must be given")
    if not kinds:
        strange = sorted(set(pattern) - set(_LETTERS))
        if strange:
            raise config.fault("hybrid_override_pattern", f"has the letter {strange[0]!r}")
        kinds = [_LETTERS[letter] for letter in pattern]
        check_length(config, "hybrid_override_pattern", len(kinds))
    return kinds


def _mamba2(config: Config, layers: int) -> Mamba2 | None:
    if not layers:
        return None
    return Mamba2(
        layers,
        heads=config.count("mamba_num_heads", default=128),
        head_dim=config.count("mamba_head_dim", default=64),
        state_size=config.count("ssm_state_size", default=128),
        groups=config.count("n_groups", "mamba_n_groups", default=8),
        conv_width=config.count("conv_kernel", default=4),
    )


def _moe(config: Config, layers: int) -> Moe | None:
    if not layers:
        return None
    return Moe(
        layers,
        experts=config.count("n_routed_experts"),
        experts_per_token=config.count("num_experts_per_tok"),
        expert_intermediate_size=config.count("moe_intermediate_size"),
        gated=False,
        shared_experts=config.count("n_shared_experts", default=1, least=0),
        shared_intermediate_size=config.count("moe_shared_expert_intermediate_size", default=7688),
        latent_size=config.count("moe_latent_size", default=0, least=0),
    )
