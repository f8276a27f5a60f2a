"""Keys and values of new tokens go to their pages; queries and keys are rotated on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import triton
import triton.language as tl

from gpu_backend.kernels.device.naming import page_named

if TYPE_CHECKING:
    import torch

    from gpu_backend.kernels.interface import Rotary
    from gpu_backend.kernels.views import KvLayer, Segments


@triton.jit
def _turn(at, heads, NUM: tl.constexpr, half, cos, sin, DIM: tl.constexpr, HALF: tl.constexpr):
    """Both rotated halves of some heads, shape (heads, HALF) each."""
    inside = (heads[:, None] < NUM) & (half[None, :] < HALF)
    first_at = at + heads[:, None] * DIM + half[None, :]
    first = tl.load(first_at, mask=inside, other=0.0).to(tl.float32)
    second = tl.load(first_at + HALF, mask=inside, other=0.0).to(tl.float32)
    return first * cos - second * sin, second * cos + first * sin


@triton.jit
def _store_kv(
    qkv_ptr, slab_ptr, handles_ptr, page_of_ptr, rows_ptr, starts_ptr, lengths_ptr, contexts_ptr,
    cos_ptr, sin_ptr, qkv_stride, handles_stride, page_stride, offset, index_mask,
    QUERY_HEADS: tl.constexpr, QUERY_PAD: tl.constexpr, KV_HEADS: tl.constexpr,
    KV_PAD: tl.constexpr, TOKENS: tl.constexpr, DIM: tl.constexpr, HALF: tl.constexpr,
    HALF_PAD: tl.constexpr, NAMING: tl.constexpr,
):  # fmt: skip
    segment, token = tl.program_id(0), tl.program_id(1)
    if token >= tl.load(lengths_ptr + segment):
        return
    position = tl.load(contexts_ptr + segment) + token
    row = tl.load(rows_ptr + segment).to(tl.int64)
    table = handles_ptr + row * handles_stride
    page = page_named(table, position // TOKENS, page_of_ptr, index_mask, NAMING)
    keys_to = slab_ptr + page * page_stride + offset + (position % TOKENS) * DIM
    values_to = keys_to + KV_HEADS * TOKENS * DIM
    flat = (tl.load(starts_ptr + segment) + token).to(tl.int64)
    queries_at = qkv_ptr + flat * qkv_stride
    keys_at = queries_at + QUERY_HEADS * DIM
    values_at = keys_at + KV_HEADS * DIM
    kv, dims = tl.arange(0, KV_PAD), tl.arange(0, DIM)
    inside = (kv[:, None] < KV_HEADS) & (dims[None, :] < DIM)
    to = kv[:, None] * (TOKENS * DIM) + dims[None, :]
    values = tl.load(values_at + kv[:, None] * DIM + dims[None, :], mask=inside, other=0.0)
    tl.store(values_to + to, values, mask=inside)
    straight = inside & (dims[None, :] >= 2 * HALF)
    keys = tl.load(keys_at + kv[:, None] * DIM + dims[None, :], mask=straight, other=0.0)
    tl.store(keys_to + to, keys, mask=straight)
    if HALF > 0:
        half, heads = tl.arange(0, HALF_PAD), tl.arange(0, QUERY_PAD)
        angle = position.to(tl.int64) * HALF + half
        cos = tl.load(cos_ptr + angle, mask=half < HALF, other=0.0)[None, :]
        sin = tl.load(sin_ptr + angle, mask=half < HALF, other=0.0)[None, :]
        element = qkv_ptr.dtype.element_ty
        first, second = _turn(keys_at, kv, KV_HEADS, half, cos, sin, DIM, HALF)
        turned = (kv[:, None] < KV_HEADS) & (half[None, :] < HALF)
        to = kv[:, None] * (TOKENS * DIM) + half[None, :]
        tl.store(keys_to + to, first.to(element), mask=turned)
        tl.store(keys_to + to + HALF, second.to(element), mask=turned)
        first, second = _turn(queries_at, heads, QUERY_HEADS, half, cos, sin, DIM, HALF)
        turned = (heads[:, None] < QUERY_HEADS) & (half[None, :] < HALF)
        back = heads[:, None] * DIM + half[None, :]
        tl.store(queries_at + back, first.to(element), mask=turned)
        tl.store(queries_at + back + HALF, second.to(element), mask=turned)


def store_kv(qkv: torch.Tensor, layer: KvLayer, segments: Segments, rotary: Rotary) -> None:
    """See `Kernels.store_kv`."""
    shape, pages, half = layer.shape, layer.pages, rotary.dims // 2
    query_heads = qkv.shape[1] - 2 * shape.kv_heads
    _store_kv[(len(segments), segments.max_length)](
        qkv, pages.slab.view(shape.dtype), layer.handles, pages.page_of,
        segments.rows, segments.starts, segments.lengths, segments.contexts,
        rotary.cos, rotary.sin, qkv.stride(0), layer.handles.stride(0),
        pages.page_bytes // shape.dtype.itemsize, layer.offset_bytes // shape.dtype.itemsize,
        pages.index_mask,
        QUERY_HEADS=query_heads, QUERY_PAD=triton.next_power_of_2(query_heads),
        KV_HEADS=shape.kv_heads, KV_PAD=triton.next_power_of_2(shape.kv_heads),
        TOKENS=shape.page_tokens, DIM=shape.head_dim, HALF=half,
        HALF_PAD=triton.next_power_of_2(max(half, 1)), NAMING=pages.naming, num_warps=4,
    )  # fmt: skip
