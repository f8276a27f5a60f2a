"""A model becomes a decoder that can run: the shape that the GPU mode takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.errors import UserError
from scenarios.layers import Mamba2
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

    if objection := _objection(model, options):
        raise UserError(f"{model.name} cannot run on a device: {objection}")
    attention, mlp = model.attention, model.mlp
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


def _objection(model: Model, options: MachineOptions) -> str | None:
    """What the kernels do not compute."""
    if options.tp != 1:
        return "its kernels run on one device, use --tp 1"
    if model.moe is not None or model.shared_block is not None or model.body.parallel:
        return "it has experts, shared blocks or parallel layers"
    if model.state is not None and not (isinstance(model.state, Mamba2) and model.state.gated_norm):
        return "its state layers are not Mamba-2 with a gated norm"
    if model.attention.output_gate or model.attention.qk_norm:
        return "its attention has gates or norms"
    if options.kv_dtype not in {AUTO, model.dtypes.weights}:
        return f"its keys and values must have the type of its weights, {model.dtypes.weights}"
    return None
