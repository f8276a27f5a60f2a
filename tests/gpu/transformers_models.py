"""Small models of the `transformers` package with random weights, and the same for our decoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from transformers import (
    BambaConfig,
    BambaForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    NemotronHConfig,
    NemotronHForCausalLM,
)

from gpu_backend.decoder_shape import (
    AttentionShape,
    BlockKind,
    DecoderShape,
    MlpShape,
    RotaryShape,
)
from gpu_backend.decoder_weights import (
    AttentionWeights,
    DecoderWeights,
    MlpWeights,
    StateWeights,
)
from gpu_backend.kernels.views import KvShape, StateShape

if TYPE_CHECKING:
    from collections.abc import Callable

HIDDEN, VOCAB, HEADS, KV_HEADS, DIM, MLP = 64, 96, 4, 2, 16, 80
PAGE_TOKENS = 4
COMMON: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": HIDDEN,
    "intermediate_size": MLP,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS,
    "attn_implementation": "eager",
    "initializer_range": 0.2,  # larger weights, so that logits tell errors apart
}
A, S, M = BlockKind.ATTENTION, BlockKind.STATE, BlockKind.MLP


@dataclass(frozen=True)
class Oracle:
    """A model, and our decoder's shape and weights."""

    model: torch.nn.Module
    shape: DecoderShape
    weights: DecoderWeights


def _shape(blocks: tuple[BlockKind, ...], rotary: int, *, gated: bool, groups: int) -> DecoderShape:
    real = torch.float32
    state = StateShape(8, 16, 16, groups, 4, real, real) if S in blocks else None
    attention = AttentionShape(
        HEADS, KvShape(PAGE_TOKENS, KV_HEADS, DIM, real), RotaryShape(rotary)
    )
    return DecoderShape(HIDDEN, VOCAB, blocks, attention, state, MlpShape(MLP, gated), real)


def _random(model: torch.nn.Module) -> None:
    """Draw what is initialised to ones and zeros, too; nothing is to be dropped out."""
    model.train(mode=False)
    generator = torch.Generator("cpu").manual_seed(1)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            noise = torch.rand(parameter.shape, generator=generator, device="cpu")
            parameter.data.copy_(noise + 0.5 if "bias" not in name else noise - 0.5)


def _attention(norm: torch.Tensor, layer: torch.nn.Module) -> AttentionWeights:
    parts = (layer.q_proj, layer.k_proj, layer.v_proj)
    qkv = torch.cat([part.weight for part in parts])
    return AttentionWeights(norm, qkv, layer.o_proj.weight)


def _mixer(norm: torch.Tensor, layer: torch.nn.Module) -> StateWeights:
    return StateWeights(
        norm=norm,
        into=layer.in_proj.weight,
        conv=layer.conv1d.weight.squeeze(1).T.contiguous(),
        conv_bias=layer.conv1d.bias,
        a=-torch.exp(layer.A_log),
        d=layer.D,
        dt_bias=layer.dt_bias,
        gate_norm=layer.norm.weight,
        out=layer.out_proj.weight,
    )


def _gated(norm: torch.Tensor, layer: torch.nn.Module) -> MlpWeights:
    return MlpWeights(
        norm, torch.cat((layer.gate_proj.weight, layer.up_proj.weight)), layer.down_proj.weight
    )


def bamba() -> Oracle:
    config = BambaConfig(
        **COMMON, num_hidden_layers=4, attn_layer_indices=[1], mamba_n_heads=8, mamba_d_head=16,
        mamba_d_state=16, mamba_n_groups=1, mamba_chunk_size=8,
    )  # fmt: skip
    model = BambaForCausalLM(config)
    _random(model)
    blocks: list[AttentionWeights | StateWeights | MlpWeights] = []
    for layer in model.model.layers:
        norm = layer.input_layernorm.weight
        is_attention = hasattr(layer, "self_attn")
        blocks += [
            _attention(norm, layer.self_attn) if is_attention else _mixer(norm, layer.mamba),
            _gated(layer.pre_ff_layernorm.weight, layer.feed_forward),
        ]
    weights = DecoderWeights(
        model.model.embed_tokens.weight, tuple(blocks), model.model.final_layernorm.weight,
        model.lm_head.weight,
    )  # fmt: skip
    shape = _shape((S, M, A, M, S, M, S, M), DIM // 2, gated=True, groups=1)
    return Oracle(model, shape, weights)


def nemotron_h() -> Oracle:
    order = (S, M, S, A, M, S)
    config = NemotronHConfig(
        **COMMON, head_dim=DIM, hybrid_override_pattern="M-M*-M",
        ssm_state_size=16, mamba_num_heads=8, mamba_head_dim=16, n_groups=2, chunk_size=8,
        time_step_min=1e-30,  # the class clamps steps in prefill only: its two forms would differ
    )  # fmt: skip
    model = NemotronHForCausalLM(config)
    _random(model)
    makers: dict[BlockKind, Callable[[torch.Tensor, Any], Any]] = {
        S: _mixer,
        A: _attention,
        M: lambda norm, layer: MlpWeights(norm, layer.up_proj.weight, layer.down_proj.weight),
    }
    layers = zip(order, model.model.layers, strict=True)
    blocks = tuple(makers[kind](layer.norm.weight, layer.mixer) for kind, layer in layers)
    weights = DecoderWeights(
        model.model.embeddings.weight, blocks, model.model.norm_f.weight, model.lm_head.weight
    )
    return Oracle(model, _shape(order, 0, gated=False, groups=2), weights)


def llama() -> Oracle:
    config = LlamaConfig(**COMMON, head_dim=DIM, num_hidden_layers=3, rms_norm_eps=1e-5)
    model = LlamaForCausalLM(config)
    _random(model)
    blocks: list[AttentionWeights | MlpWeights] = []
    for layer in model.model.layers:
        blocks += [
            _attention(layer.input_layernorm.weight, layer.self_attn),
            _gated(layer.post_attention_layernorm.weight, layer.mlp),
        ]
    weights = DecoderWeights(
        model.model.embed_tokens.weight, tuple(blocks), model.model.norm.weight,
        model.lm_head.weight,
    )  # fmt: skip
    shape = _shape((A, M) * 3, DIM, gated=True, groups=1)
    return Oracle(model, shape, weights)


ORACLES = {"bamba": bamba, "nemotron-h": nemotron_h, "llama": llama}
