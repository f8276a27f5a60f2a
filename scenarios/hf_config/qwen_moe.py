"""Experts by the field names of Qwen's models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.layers.feed_forward import Moe

if TYPE_CHECKING:
    from scenarios.hf_config.config import Config


def qwen_experts(config: Config, layers: int, *, shared_gate: bool) -> Moe | None:
    """Experts in every `decoder_sparse_step`-th layer that is not listed as dense; None for none.

    Raises:
        UserError: A field is missing or malformed.
    """
    experts = config.count("num_experts", "num_local_experts", default=0, least=0)
    every = config.count("decoder_sparse_step", default=1)
    dense = set(config.counts("mlp_only_layers"))
    routed = sum(i not in dense and (i + 1) % every == 0 for i in range(layers))
    if not experts or not routed:
        return None
    shared = config.count("shared_expert_intermediate_size", default=0, least=0)
    return Moe(
        routed,
        experts,
        experts_per_token=config.count("num_experts_per_tok"),
        expert_intermediate_size=config.count("moe_intermediate_size"),
        gated=True,
        shared_experts=1 if shared else 0,
        shared_intermediate_size=shared,
        shared_gate=shared_gate and shared > 0,
    )
