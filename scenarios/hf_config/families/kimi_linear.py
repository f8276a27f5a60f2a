"""Kimi-Linear: three Kimi delta attention layers to one of latent attention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.hf_config.family import FULL, LINEAR, Family, Parts, layer_kinds
from scenarios.layers.attention import LatentAttention
from scenarios.layers.feed_forward import Mlp, Moe
from scenarios.layers.linear_attention import KimiDelta

if TYPE_CHECKING:
    from scenarios.hf_config.config import Config


class KimiLinear(Family):
    """The checkpoint lists its layers, counted from 1, in `linear_attn_config`."""

    name = "kimi-linear"
    model_types = ("kimi_linear",)

    def parts(self, config: Config) -> Parts:
        """See `Family.parts`."""
        layers = config.count("num_hidden_layers")
        kinds = layer_kinds(config, "layer_types", (FULL, LINEAR))
        nested = config.part("linear_attn_config")
        if not kinds and nested is None:
            raise config.fault("linear_attn_config", "is missing, and so is layer_types")
        linear = kinds.count(LINEAR) if nested is None else len(nested.counts("kda_layers"))
        if linear > layers:
            raise config.fault("linear_attn_config", f"lists {linear} layers of {layers}")
        dense = _dense_layers(config)
        return Parts(
            attention=_latent(config, layers - linear),
            state=_delta(config if nested is None else nested, linear),
            mlp=Mlp(dense, config.count("intermediate_size"), gated=True) if dense else None,
            moe=_moe(config, layers - dense),
            recurrent_state="fp32",
        )


def _latent(config: Config, layers: int) -> tuple[LatentAttention, ...]:
    if not layers:
        return ()
    latent = LatentAttention(
        layers,
        query_heads=config.count("num_attention_heads"),
        latent_dim=config.count("kv_lora_rank"),
        rope_dim=config.count("qk_rope_head_dim"),
        key_dim=config.count("qk_nope_head_dim"),
        value_dim=config.count("v_head_dim"),
        query_rank=config.count("q_lora_rank", default=0, least=0),
    )
    return (latent,)


def _delta(config: Config, layers: int) -> KimiDelta | None:
    if not layers:
        return None
    return KimiDelta(
        layers,
        heads=config.count("linear_num_heads", "num_heads"),
        head_dim=config.count("linear_head_dim", "head_dim"),
        conv_width=config.count("linear_conv_kernel_dim", "short_conv_kernel_size", default=4),
    )


def _dense_layers(config: Config) -> int:
    kinds = layer_kinds(config, "mlp_layer_types", ("dense", "sparse"))
    if kinds:
        return kinds.count("dense")
    return config.count("first_k_dense_replace", default=1, least=0)


def _moe(config: Config, layers: int) -> Moe | None:
    if layers <= 0:
        return None
    width = config.count("moe_intermediate_size")
    return Moe(
        layers,
        experts=config.count("num_experts", "num_local_experts"),
        experts_per_token=config.count("num_experts_per_token", "num_experts_per_tok"),
        expert_intermediate_size=width,
        gated=True,
        shared_experts=config.count("num_shared_experts", default=1, least=0),
        shared_intermediate_size=width,
    )
