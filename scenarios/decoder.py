"""A model becomes a decoder that can run: the shape that the GPU mode takes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scenarios.errors import UserError
from scenarios.layers.attention import Attention
from scenarios.layers.state_space import Mamba2
from scenarios.model import AUTO

if TYPE_CHECKING:
    from gpu_backend.decoder_shape import DecoderShape
    from gpu_backend.kernels.views import StateShape
    from scenarios.machine import MachineOptions
    from scenarios.model import Model

PAGE_TOKENS = 16


def decoder_shape_of(
    model: Model, options: MachineOptions, page_tokens: int = PAGE_TOKENS
) -> DecoderShape:
    """The decoder of a model on one device; needs torch.

    Raises:
        UserError: If the model has layers that no kernel computes, or several devices share it.
    """
    from gpu_backend.decoder_shape import (  # noqa: PLC0415 - only the GPU mode needs torch
        DTYPES,
        AttentionShape,
        DecoderShape,
        MlpShape,
        RotaryShape,
        in_order,
    )
    from gpu_backend.kernels.views import KvShape  # noqa: PLC0415 - likewise

    attention, mlp = _attention(model), model.mlp
    if objection := _objection(model, options):
        raise UserError(f"{model.name} cannot run on a device: {objection}")
    kv_dtype = model.dtypes.kv if options.kv_dtype == AUTO else options.kv_dtype
    kv = KvShape(page_tokens, attention.kv_heads, attention.head_dim, DTYPES[kv_dtype])
    rotary = RotaryShape(attention.rotary_dims, attention.rotary_theta)
    return DecoderShape(
        hidden_size=model.body.hidden_size,
        vocab_size=model.body.vocab_size,
        blocks=in_order((attention.layers, model.state_layers), mlp.layers if mlp else 0),
        attention=AttentionShape(attention.query_heads, kv, rotary),
        state=_state_shape(model, options),
        mlp=MlpShape(mlp.intermediate_size, mlp.gated) if mlp else MlpShape(0, gated=False),
        dtype=DTYPES[model.dtypes.weights],
    )


def _state_shape(model: Model, options: MachineOptions) -> StateShape | None:
    from gpu_backend.decoder_shape import DTYPES  # noqa: PLC0415 - see above
    from gpu_backend.kernels.views import StateShape  # noqa: PLC0415 - see above

    if not isinstance(model.state, Mamba2):
        return None
    default = model.dtypes.recurrent_state
    dtype = default if options.state_dtype == AUTO else options.state_dtype
    return StateShape(
        heads=model.state.heads,
        head_dim=model.state.head_dim,
        state_size=model.state.state_size,
        groups=model.state.groups,
        conv_width=model.state.conv_width,
        dtype=DTYPES[dtype],
        conv_dtype=DTYPES[model.dtypes.weights],
    )


def _attention(model: Model) -> Attention:
    """Its only kind of attention."""
    kinds = model.attention
    if len(kinds) != 1 or type(kinds[0]) is not Attention:
        raise UserError(
            f"{model.name} cannot run on a device: it needs one kind of grouped-query attention"
        )
    return kinds[0]


def _objection(model: Model, options: MachineOptions) -> str | None:
    """What the kernels do not compute; the first that applies."""
    attention, state, mlp = _attention(model), model.state, model.mlp
    plain = replace(attention, rotary_dims=0, rotary_theta=0.0)
    sizes = (attention.layers, attention.query_heads, attention.kv_heads, attention.head_dim)
    objections = {
        "its kernels run on one device, use --tp 1": options.tp != 1,
        "it has experts, shared blocks or parallel layers": (
            model.moe is not None or model.shared_block is not None or model.body.parallel
        ),
        "its feed-forward layers have biases or norms behind them": (
            model.body.sandwich_norms or (mlp is not None and mlp.biases)
        ),
        "its state layers are not Mamba-2 with a gated norm": (
            state is not None and not (isinstance(state, Mamba2) and state.gated_norm)
        ),
        "its attention has gates, norms, biases, sinks or a window": (
            plain != Attention(*sizes, rotary_theta=0.0)
        ),
        f"its keys and values must be {model.dtypes.weights}, as its weights are": (
            options.kv_dtype not in {AUTO, model.dtypes.weights}
        ),
    }
    return next((objection for objection, applies in objections.items() if applies), None)
