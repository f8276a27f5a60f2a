"""Qwen3-Next and Qwen3.5: three gated delta net layers to one gated attention layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.hf_config.family import FULL, LINEAR, Family, Parts, grouped_attention, layer_kinds
from scenarios.hf_config.qwen_moe import qwen_experts
from scenarios.layers.feed_forward import Mlp
from scenarios.layers.linear_attention import GatedDeltaNet

if TYPE_CHECKING:
    from scenarios.hf_config.config import Config

INTERVAL = 4
"""Every fourth layer attends, unless told otherwise."""

_STATE_DTYPES = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}


class QwenHybrid(Family):
    """vLLM keeps Qwen3-Next's state in the model's type, Qwen3.5's in what its config says."""

    name = "qwen-hybrid"
    model_types = ("qwen3_next", "qwen3_5_text", "qwen3_5_moe_text")

    def parts(self, config: Config) -> Parts:
        """See `Family.parts`."""
        layers = config.count("num_hidden_layers")
        kinds = layer_kinds(config, "layer_types", (FULL, LINEAR))
        attention = kinds.count(FULL) if kinds else layers // _interval(config)
        moe = qwen_experts(config, layers, shared_gate=True)
        dense = layers - (moe.layers if moe else 0)
        is_next = config.text("model_type") == "qwen3_next"
        state_dtype = config.text("mamba_ssm_dtype", default="" if is_next else "float32")
        return Parts(
            attention=grouped_attention(config, attention, output_gate=True, qk_norm=True),
            state=_delta_net(config, layers - attention),
            mlp=Mlp(dense, config.count("intermediate_size"), gated=True) if dense else None,
            moe=moe,
            recurrent_state=_STATE_DTYPES.get(state_dtype, ""),
            mtp_layers=config.count(
                "mtp_num_hidden_layers", "num_nextn_predict_layers", default=0, least=0
            ),
        )


def _interval(config: Config) -> int:
    return config.count("full_attention_interval", default=INTERVAL)


def _delta_net(config: Config, layers: int) -> GatedDeltaNet | None:
    if not layers:
        return None
    return GatedDeltaNet(
        layers,
        key_heads=config.count("linear_num_key_heads", default=16),
        value_heads=config.count("linear_num_value_heads", default=32),
        key_dim=config.count("linear_key_head_dim", default=128),
        value_dim=config.count("linear_value_head_dim", default=128),
        conv_width=config.count("linear_conv_kernel_dim", default=4),
    )
