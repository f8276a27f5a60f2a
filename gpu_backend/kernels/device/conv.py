"""The causal convolution in front of a state-space layer; its last inputs live in a state page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import triton
import triton.language as tl

from gpu_backend.kernels.device.naming import page_named

if TYPE_CHECKING:
    import torch

    from gpu_backend.kernels.interface import ConvInputs
    from gpu_backend.kernels.views import Segments, StateLayer

MAX_TILE_TOKENS = 32
TILE_ELEMENTS = 2048
TILE_CHANNELS = 1024
"""Channels of a program where a sequence has one new token."""


@triton.jit
def _keep_inputs(
    kept_at, x_at, x_stride, channels, exists, length, context,
    CHANNELS: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Let the last WIDTH - 1 inputs of old and new be those that are kept; oldest first.

    A row takes from later rows only, so that going up nothing is lost.
    """
    for row in tl.static_range(WIDTH - 1):
        new = length - (WIDTH - 1) + row
        if new >= 0:
            value = tl.load(x_at + new * x_stride + channels, mask=exists, other=0.0)
        else:
            past = channels < tl.where(new + context >= 0, CHANNELS, 0)
            old_at = kept_at + (length + row) * CHANNELS + channels
            value = tl.load(old_at, mask=past, other=0.0).to(x_at.dtype.element_ty)
        to = kept_at + row * CHANNELS + channels
        tl.store(to, value.to(kept_at.dtype.element_ty), mask=exists)


@triton.jit
def _convolve(
    x_ptr, out_ptr, weight_ptr, bias_ptr, slab_ptr, handles_ptr, page_of_ptr, rows_ptr,
    starts_ptr, lengths_ptr, contexts_ptr, x_stride, handles_stride, page_stride, offset,
    index_mask,
    CHANNELS: tl.constexpr, WIDTH: tl.constexpr, TILE_T: tl.constexpr, TILE_C: tl.constexpr,
    ALIGNED: tl.constexpr, NAMING: tl.constexpr,
):  # fmt: skip
    block, part, segment = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    length = tl.load(lengths_ptr + segment)
    if block * TILE_T >= length:
        return
    context = tl.load(contexts_ptr + segment)
    row = tl.load(rows_ptr + segment).to(tl.int64)
    page = page_named(handles_ptr + row * handles_stride, 0, page_of_ptr, index_mask, NAMING)
    kept_at = slab_ptr + tl.multiple_of(page * page_stride + offset, ALIGNED)
    start = tl.load(starts_ptr + segment).to(tl.int64)
    x_at = x_ptr + start * x_stride
    channels = part * TILE_C + tl.arange(0, TILE_C)
    exists = channels < CHANNELS
    tokens = block * TILE_T + tl.arange(0, TILE_T)
    bias = tl.load(bias_ptr + channels, mask=exists, other=0.0).to(tl.float32)
    acc = tl.zeros([TILE_T, TILE_C], tl.float32) + bias[None, :]
    for tap in tl.static_range(WIDTH):
        index = tokens + tap - (WIDTH - 1)
        weight = tl.load(weight_ptr + tap * CHANNELS + channels, mask=exists, other=0.0)
        new = (index >= 0) & (index < length)
        x = tl.load(
            x_at + index[:, None] * x_stride + channels[None, :],
            mask=new[:, None] & exists[None, :], other=0.0,
        )  # fmt: skip
        past = (index < 0) & (index + context >= 0)
        old = tl.load(
            kept_at + (index[:, None] + WIDTH - 1) * CHANNELS + channels[None, :],
            mask=past[:, None] & exists[None, :], other=0.0,
        )  # fmt: skip
        acc += (x.to(tl.float32) + old.to(tl.float32)) * weight.to(tl.float32)[None, :]
    mixed = acc / (1 + tl.exp(-acc))
    tl.store(
        out_ptr + (start + tokens)[:, None] * CHANNELS + channels[None, :],
        mixed.to(out_ptr.dtype.element_ty),
        mask=(tokens < length)[:, None] & exists[None, :],
    )
    if block == 0:  # nobody else reads what is kept
        tl.debug_barrier()
        _keep_inputs(kept_at, x_at, x_stride, channels, exists, length, context, CHANNELS, WIDTH)


@triton.jit
def _convolve_one(
    x_ptr, out_ptr, weight_ptr, bias_ptr, slab_ptr, handles_ptr, page_of_ptr, rows_ptr,
    starts_ptr, lengths_ptr, contexts_ptr, x_stride, handles_stride, page_stride, offset,
    index_mask,
    CHANNELS: tl.constexpr, WIDTH: tl.constexpr, TAPS: tl.constexpr, TILE_C: tl.constexpr,
    ALIGNED: tl.constexpr, NAMING: tl.constexpr,
):  # fmt: skip
    part, segment = tl.program_id(0), tl.program_id(1)
    if tl.load(lengths_ptr + segment) == 0:
        return
    row = tl.load(rows_ptr + segment).to(tl.int64)
    page = page_named(handles_ptr + row * handles_stride, 0, page_of_ptr, index_mask, NAMING)
    kept_at = slab_ptr + tl.multiple_of(page * page_stride + offset, ALIGNED)
    start = tl.load(starts_ptr + segment).to(tl.int64)
    taps, channels = tl.arange(0, TAPS), part * TILE_C + tl.arange(0, TILE_C)
    exists = channels < CHANNELS
    held = tl.minimum(tl.load(contexts_ptr + segment), WIDTH - 1)
    past = (taps >= WIDTH - 1 - held) & (taps < WIDTH - 1)
    at = taps[:, None] * CHANNELS + channels[None, :]
    seen = tl.load(kept_at + at, mask=past[:, None] & exists[None, :], other=0.0)
    x = tl.load(x_ptr + start * x_stride + channels, mask=exists, other=0.0)
    newest = taps[:, None] == WIDTH - 1
    seen = tl.where(newest, x.to(seen.dtype)[None, :], seen)
    weighs = (taps < WIDTH)[:, None] & exists[None, :]
    weight = tl.load(weight_ptr + at, mask=weighs, other=0.0).to(tl.float32)
    bias = tl.load(bias_ptr + channels, mask=exists, other=0.0).to(tl.float32)
    acc = tl.sum(seen.to(tl.float32) * weight, 0) + bias
    out_at = out_ptr + start * CHANNELS + channels
    tl.store(out_at, (acc / (1 + tl.exp(-acc))).to(out_ptr.dtype.element_ty), mask=exists)
    tl.debug_barrier()  # everything is read before anything moves up
    kept = (taps >= 1) & (taps < WIDTH)
    tl.store(kept_at + at - CHANNELS, seen, mask=kept[:, None] & exists[None, :])


def convolve(inputs: ConvInputs, layer: StateLayer, segments: Segments, out: torch.Tensor) -> None:
    """See `Kernels.convolve`."""
    shape, pages, itemsize = layer.shape, layer.pages, layer.shape.conv_dtype.itemsize
    arguments = (
        inputs.x, out, inputs.weight, inputs.bias, pages.slab.view(shape.conv_dtype),
        layer.handles, pages.page_of, segments.rows, segments.starts, segments.lengths,
        segments.contexts, inputs.x.stride(0), layer.handles.stride(0),
        pages.page_bytes // itemsize, layer.conv_offset_bytes // itemsize, pages.index_mask,
    )  # fmt: skip
    sizes = {
        "CHANNELS": shape.channels,
        "WIDTH": shape.conv_width,
        "ALIGNED": pages.alignment(layer.conv_offset_bytes, itemsize),
        "NAMING": pages.naming,
    }
    if segments.max_length == 1:
        taps, tile_c = triton.next_power_of_2(shape.conv_width), TILE_CHANNELS
        parts = triton.cdiv(shape.channels, tile_c)
        _convolve_one[(parts, len(segments))](
            *arguments, **sizes, TAPS=taps, TILE_C=tile_c, num_warps=4
        )
        return
    tile_t = min(MAX_TILE_TOKENS, triton.next_power_of_2(segments.max_length))
    tile_c = min(TILE_ELEMENTS // tile_t, triton.next_power_of_2(shape.channels))
    blocks, parts = triton.cdiv(segments.max_length, tile_t), triton.cdiv(shape.channels, tile_c)
    _convolve[(blocks, parts, len(segments))](
        *arguments, **sizes, TILE_T=tile_t, TILE_C=tile_c, num_warps=4
    )
