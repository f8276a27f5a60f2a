"""Granite 4 hybrid: Mamba2 and attention, experts beside a shared MLP, or the MLP alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.hf_config.family import FULL, LINEAR, Family, Parts, grouped_attention, layer_kinds
from scenarios.hf_config.mamba2 import mamba2_layers
from scenarios.layers.feed_forward import Mlp, Moe

if TYPE_CHECKING:
    from scenarios.hf_config.config import Config


class GraniteHybrid(Family):
    """With `num_local_experts` 0 the shared MLP is all that a feed-forward layer has."""

    name = "granite-hybrid"
    model_types = ("granitemoehybrid",)

    def parts(self, config: Config) -> Parts:
        """See `Family.parts`."""
        layers = config.count("num_hidden_layers")
        kinds = layer_kinds(config, "layer_types", (FULL, LINEAR)) or [LINEAR] * layers
        experts = config.count("num_local_experts", default=8, least=0)
        return Parts(
            attention=grouped_attention(config, kinds.count(FULL)),
            state=mamba2_layers(config, kinds.count(LINEAR)),
            mlp=None if experts else _mlp(config, layers),
            moe=_moe(config, layers, experts) if experts else None,
        )


def _mlp(config: Config, layers: int) -> Mlp:
    return Mlp(layers, config.count("shared_intermediate_size", default=1024), gated=True)


def _moe(config: Config, layers: int, experts: int) -> Moe:
    shared = config.count("shared_intermediate_size", default=1024, least=0)
    return Moe(
        layers,
        experts,
        experts_per_token=config.count("num_experts_per_tok", default=2),
        expert_intermediate_size=config.count("intermediate_size"),
        gated=True,
        shared_experts=1 if shared else 0,
        shared_intermediate_size=shared,
    )
