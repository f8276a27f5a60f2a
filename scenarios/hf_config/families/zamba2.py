"""Zamba2: Mamba2 in every layer, and at some of them a shared block of attention and MLP first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.hf_config.family import LINEAR, Family, Parts, layer_kinds
from scenarios.layers.attention import Attention
from scenarios.layers.feed_forward import Mlp, SharedBlock
from scenarios.layers.state_space import Mamba2

if TYPE_CHECKING:
    from scenarios.hf_config.config import Config

HYBRID = "hybrid"


class Zamba2(Family):
    """Every use of a shared block keeps its own keys and values and has its own adapters."""

    name = "zamba2"
    model_types = ("zamba2",)

    def parts(self, config: Config) -> Parts:
        """See `Family.parts`."""
        layers, hidden = config.count("num_hidden_layers"), config.count("hidden_size")
        kinds = layer_kinds(config, "layers_block_type", (LINEAR, HYBRID))
        uses = kinds.count(HYBRID) if kinds else len(set(config.counts("hybrid_layer_ids")))
        if not uses:
            raise config.fault("layers_block_type", "or hybrid_layer_ids must name a hybrid layer")
        heads = config.count("num_attention_heads", default=32)
        state_heads = config.count("n_mamba_heads", default=8)
        inner = config.count("mamba_expand", default=2) * hidden
        return Parts(
            attention=(
                Attention(
                    uses,
                    heads,
                    kv_heads=config.count("num_key_value_heads", default=heads),
                    head_dim=config.divided("attention_head_dim", 2 * hidden, heads),
                    input_multiple=2,
                ),
            ),
            state=Mamba2(
                layers,
                state_heads,
                config.divided("n_mamba_heads", inner, state_heads),
                state_size=config.count("mamba_d_state", default=64),
                groups=config.count("mamba_ngroups", default=1),
                conv_width=config.count("mamba_d_conv", default=4),
            ),
            mlp=Mlp(uses, config.count("intermediate_size", default=4 * hidden), gated=True),
            shared_block=_shared_block(config),
            tied_embeddings=True,
        )


def _shared_block(config: Config) -> SharedBlock:
    return SharedBlock(
        config.count("num_mem_blocks", default=1),
        config.count("adapter_rank", default=128),
        attention_adapters=config.flag("use_shared_attention_adapter"),
    )
