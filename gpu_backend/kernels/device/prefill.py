"""Causal attention of a chunk of new tokens over the pages of its sequence, the chunk included.

The queries of a key head and some tokens are the rows of one tile; keys and values are gathered
by token through the handles of their pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import triton
import triton.language as tl

from gpu_backend.kernels.device.decode import _fold, _scores
from gpu_backend.kernels.device.naming import pages_named

if TYPE_CHECKING:
    from gpu_backend.kernels.views import KvLayer, Segments

TILE_ROWS = 128
TILE_TOKENS = 64


@triton.jit
def _attend_chunk(
    qkv_ptr, out_ptr, slab_ptr, handles_ptr, page_of_ptr, rows_ptr, starts_ptr, lengths_ptr,
    contexts_ptr, qkv_stride, handles_stride, page_stride, offset, index_mask, scale,
    QUERY_HEADS: tl.constexpr, KV_HEADS: tl.constexpr, GROUP_PAD: tl.constexpr,
    TOKENS: tl.constexpr, DIM: tl.constexpr, TILE_Q: tl.constexpr, TILE_KV: tl.constexpr,
    ALIGNED: tl.constexpr, PRECISION: tl.constexpr, NAMING: tl.constexpr,
):  # fmt: skip
    block, head, segment = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    length = tl.load(lengths_ptr + segment)
    if block * TILE_Q >= length:
        return
    GROUP: tl.constexpr = QUERY_HEADS // KV_HEADS
    context = tl.load(contexts_ptr + segment)
    table = handles_ptr + tl.load(rows_ptr + segment).to(tl.int64) * handles_stride
    rows, dims = tl.arange(0, TILE_Q * GROUP_PAD), tl.arange(0, DIM)
    tokens, of_group = block * TILE_Q + rows // GROUP_PAD, rows % GROUP_PAD
    inside = (tokens < length) & (of_group < GROUP)
    flat = (tl.load(starts_ptr + segment) + tokens).to(tl.int64)
    query_head = head * GROUP + of_group
    query_at = qkv_ptr + flat[:, None] * qkv_stride + query_head[:, None] * DIM + dims[None, :]
    query = tl.load(query_at, mask=inside[:, None], other=0.0)
    state_max = tl.full([TILE_Q * GROUP_PAD], float("-inf"), tl.float32)
    state_sum = tl.zeros([TILE_Q * GROUP_PAD], tl.float32)
    acc = tl.zeros([TILE_Q * GROUP_PAD, DIM], tl.float32)
    positions = context + tokens
    end = context + tl.minimum(length, (block + 1) * TILE_Q)
    for first in range(0, end, TILE_KV):
        held = first + tl.arange(0, TILE_KV)
        exists = held < end
        page = pages_named(table, held // TOKENS, exists, page_of_ptr, index_mask, NAMING)
        within = offset + (head * TOKENS + held % TOKENS) * DIM
        keys_at = slab_ptr + tl.multiple_of(page * page_stride + within, ALIGNED)
        keys_at = keys_at[:, None] + dims[None, :]
        keys = tl.load(keys_at, mask=exists[:, None], other=0.0)
        values = tl.load(keys_at + KV_HEADS * TOKENS * DIM, mask=exists[:, None], other=0.0)
        seen = (held[None, :] <= positions[:, None]) & exists[None, :]
        scores = _scores(query, keys, seen, scale, PRECISION)
        state_max, state_sum, acc = _fold(scores, values, state_max, state_sum, acc, PRECISION)
    result = (acc / state_sum[:, None]).to(out_ptr.dtype.element_ty)
    out_at = out_ptr + (flat[:, None] * QUERY_HEADS + query_head[:, None]) * DIM + dims[None, :]
    tl.store(out_at, result, mask=inside[:, None])


def attend_chunks(qkv: torch.Tensor, layer: KvLayer, segments: Segments, out: torch.Tensor) -> None:
    """See `Kernels.attend_chunks`."""
    shape, pages = layer.shape, layer.pages
    query_heads = qkv.shape[1] - 2 * shape.kv_heads
    group_pad = triton.next_power_of_2(query_heads // shape.kv_heads)
    tile_q = max(1, TILE_ROWS // group_pad)
    grid = (triton.cdiv(segments.max_length, tile_q), shape.kv_heads, len(segments))
    _attend_chunk[grid](
        qkv, out, pages.slab.view(shape.dtype), layer.handles, pages.page_of,
        segments.rows, segments.starts, segments.lengths, segments.contexts,
        qkv.stride(0), layer.handles.stride(0), pages.page_bytes // shape.dtype.itemsize,
        layer.offset_bytes // shape.dtype.itemsize, pages.index_mask, shape.head_dim**-0.5,
        QUERY_HEADS=query_heads, KV_HEADS=shape.kv_heads, GROUP_PAD=group_pad,
        TOKENS=shape.page_tokens, DIM=shape.head_dim, TILE_Q=tile_q, TILE_KV=TILE_TOKENS,
        ALIGNED=pages.alignment(layer.offset_bytes, shape.dtype.itemsize),
        PRECISION="ieee" if shape.dtype is torch.float32 else "tf32",
        NAMING=pages.naming, num_warps=8, num_stages=3,
    )  # fmt: skip
