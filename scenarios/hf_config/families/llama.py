"""Attention in every layer: Llama, Mistral and Qwen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.hf_config.family import Family, Parts, grouped_attention, rotated, with_windows
from scenarios.hf_config.qwen_moe import qwen_experts
from scenarios.layers.feed_forward import Mlp

if TYPE_CHECKING:
    from scenarios.hf_config.config import Config


class Llama(Family):
    """Qwen2 has biases on its projections, Qwen3 norms queries and keys instead."""

    name = "llama"
    model_types = ("llama", "mistral", "qwen2", "qwen3", "qwen3_moe")

    def parts(self, config: Config) -> Parts:
        """See `Family.parts`."""
        layers, kind = config.count("num_hidden_layers"), config.text("model_type")
        bias = config.flag("attention_bias")
        plain = grouped_attention(
            config,
            layers,
            qk_norm=kind.startswith("qwen3"),
            qkv_bias=bias or kind == "qwen2",
            output_bias=bias,
        )
        (attention,) = rotated(config, plain)
        moe = qwen_experts(config, layers, shared_gate=False) if kind == "qwen3_moe" else None
        dense = layers - (moe.layers if moe else 0)
        width = config.count("intermediate_size")
        biases = config.flag("mlp_bias")
        return Parts(
            attention=with_windows(attention, *_windows(config, layers, kind)),
            mlp=Mlp(dense, width, gated=True, biases=biases) if dense else None,
            moe=moe,
        )


def _windows(config: Config, layers: int, kind: str) -> tuple[int, int]:
    """Layers that look at a window, and its size; Qwen's windows are off unless switched on."""
    window = config.count("sliding_window", default=0, least=0)
    in_use = kind == "mistral" or config.flag("use_sliding_window")
    if not window or not in_use:
        return 0, 0
    first = 0 if kind == "mistral" else config.count("max_window_layers", default=28, least=0)
    return max(0, layers - first), window
