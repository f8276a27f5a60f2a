"""Attention of one new token a sequence over its pages, split along the sequence.

A program takes some pages of one sequence, all heads at once: the keys of a page are one
contiguous tile (kv_heads x page_tokens, head_dim), or several, each met by all queries in one
matrix product of which the blocks where query and key belong to different heads are masked out.
Tensor cores have that arithmetic to spare, while a handle is then looked up once for a whole tile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import triton
import triton.language as tl

from gpu_backend.kernels.device.naming import page_named

if TYPE_CHECKING:
    from gpu_backend.kernels.views import KvLayer, Segments

PROGRAMS_WANTED = 512
"""Two rounds of two programs on each of some 132 multiprocessors."""

MIN_TOKENS_OF_SPLIT = 256


@dataclass(frozen=True, slots=True)
class Launch:
    """How the kernel is cut; found by measurement."""

    tile_rows: int = 128
    num_warps: int = 4
    num_stages: int = 4


DEFAULT_LAUNCH = Launch()


@triton.jit
def _scores(query, keys, seen, scale, PRECISION: tl.constexpr):
    """Scaled scores in base 2; minus infinity where not to be seen."""
    scores = tl.dot(query, tl.trans(keys), input_precision=PRECISION) * (scale * 1.4426950408889634)
    return tl.where(seen, scores, float("-inf"))


@triton.jit
def _fold(scores, values, state_max, state_sum, acc, PRECISION: tl.constexpr):
    """Fold a tile into running maximum, sum and weighted values (online softmax)."""
    new_max = tl.maximum(state_max, tl.max(scores, 1))
    safe_max = tl.where(new_max == float("-inf"), 0.0, new_max)
    weights = tl.exp2(scores - safe_max[:, None])
    kept = tl.exp2(state_max - safe_max)
    state_sum = state_sum * kept + tl.sum(weights, 1)
    acc = acc * kept[:, None]
    acc = tl.dot(weights.to(values.dtype), values, acc, input_precision=PRECISION)
    return new_max, state_sum, acc


@triton.jit
def _fold_tile(
    page_at, tile, num_held, query, scale, state_max, state_sum, acc,
    QUERY_HEADS: tl.constexpr, QUERY_PAD: tl.constexpr, KV_HEADS: tl.constexpr,
    TOKENS: tl.constexpr, DIM: tl.constexpr, TILE: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Fold a tile of a page in; what lies behind the last token was left by somebody else."""
    heads, dims = tl.arange(0, QUERY_PAD), tl.arange(0, DIM)
    ROWS: tl.constexpr = KV_HEADS * TOKENS
    rows = tile * TILE + tl.arange(0, TILE)
    exists = (rows < ROWS) & (rows % TOKENS < num_held)
    at = page_at + rows[:, None] * DIM + dims[None, :]
    keys = tl.load(at, mask=exists[:, None], other=0.0)
    values = tl.load(at + ROWS * DIM, mask=exists[:, None], other=0.0)
    own = heads[:, None] // (QUERY_HEADS // KV_HEADS) == rows[None, :] // TOKENS
    scores = _scores(query, keys, own & exists[None, :], scale, PRECISION)
    return _fold(scores, values, state_max, state_sum, acc, PRECISION)


@triton.jit
def _pages_of_split(num_pages, splits, LEAST: tl.constexpr):
    """Pages of each split of a sequence, so that all are alike; splits behind its end have none."""
    return tl.maximum(tl.cdiv(num_pages, splits), LEAST)


@triton.jit
def _attend_split(
    query_ptr, out_ptr, sums_ptr, slab_ptr, handles_ptr, page_of_ptr, rows_ptr, starts_ptr,
    lengths_ptr, contexts_ptr, query_stride, handles_stride, page_stride, offset, index_mask,
    scale,
    QUERY_HEADS: tl.constexpr, QUERY_PAD: tl.constexpr, KV_HEADS: tl.constexpr,
    TOKENS: tl.constexpr, DIM: tl.constexpr, TILE: tl.constexpr, NAMING: tl.constexpr,
    LEAST: tl.constexpr, WHOLE: tl.constexpr, ALIGNED: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    segment, split, splits = tl.program_id(0), tl.program_id(1), tl.num_programs(1)
    if tl.load(lengths_ptr + segment) == 0:
        return
    num_tokens = tl.load(contexts_ptr + segment) + 1
    num_pages = tl.cdiv(num_tokens, TOKENS)
    pages_of_split = _pages_of_split(num_pages, splits, LEAST)
    first = split * pages_of_split
    if first >= num_pages:
        return
    last = tl.minimum(first + pages_of_split, num_pages)
    table = handles_ptr + tl.load(rows_ptr + segment).to(tl.int64) * handles_stride
    heads, dims = tl.arange(0, QUERY_PAD), tl.arange(0, DIM)
    start = tl.load(starts_ptr + segment).to(tl.int64)
    inside = heads[:, None] < QUERY_HEADS
    query_at = query_ptr + start * query_stride + heads[:, None] * DIM + dims[None, :]
    query = tl.load(query_at, mask=inside, other=0.0)
    state_max = tl.full([QUERY_PAD], float("-inf"), tl.float32)
    state_sum = tl.zeros([QUERY_PAD], tl.float32)
    acc = tl.zeros([QUERY_PAD, DIM], tl.float32)
    TILES: tl.constexpr = (KV_HEADS * TOKENS + TILE - 1) // TILE
    for turn in range(first * TILES, last * TILES):
        number, tile = turn // TILES, turn % TILES
        page = page_named(table, number, page_of_ptr, index_mask, NAMING)
        page_at = slab_ptr + tl.multiple_of(page * page_stride + offset, ALIGNED)
        state_max, state_sum, acc = _fold_tile(
            page_at, tile, num_tokens - number * TOKENS, query, scale, state_max, state_sum, acc,
            QUERY_HEADS, QUERY_PAD, KV_HEADS, TOKENS, DIM, TILE, PRECISION,
        )  # fmt: skip
    if WHOLE:
        slot = start
    else:
        slot = segment * splits + split
        sums = state_max + tl.log2(state_sum)
        tl.store(sums_ptr + slot * QUERY_HEADS + heads, sums, mask=heads < QUERY_HEADS)
    result = (acc / state_sum[:, None]).to(out_ptr.dtype.element_ty)
    out_at = out_ptr + (slot * QUERY_HEADS + heads[:, None]) * DIM + dims[None, :]
    tl.store(out_at, result, mask=inside)


@triton.jit(do_not_specialize=["splits"])
def _combine(
    out_ptr, parts_ptr, sums_ptr, starts_ptr, lengths_ptr, contexts_ptr, splits,
    QUERY_HEADS: tl.constexpr, TOKENS: tl.constexpr, DIM: tl.constexpr, SPLITS_PAD: tl.constexpr,
    LEAST: tl.constexpr,
):  # fmt: skip
    segment, head = tl.program_id(0), tl.program_id(1)
    if tl.load(lengths_ptr + segment) == 0:
        return
    num_pages = tl.cdiv(tl.load(contexts_ptr + segment) + 1, TOKENS)
    numbers, dims = tl.arange(0, SPLITS_PAD), tl.arange(0, DIM)
    used = numbers < tl.cdiv(num_pages, _pages_of_split(num_pages, splits, LEAST))
    slots = (segment * splits + numbers) * QUERY_HEADS + head
    sums = tl.load(sums_ptr + slots, mask=used, other=float("-inf"))
    weights = tl.exp2(sums - tl.max(sums, 0))
    parts_at = parts_ptr + slots[:, None] * DIM + dims[None, :]
    parts = tl.load(parts_at, mask=used[:, None], other=0.0)
    mixed = tl.sum(parts * weights[:, None], 0) / tl.sum(weights, 0)
    start = tl.load(starts_ptr + segment).to(tl.int64)
    out_at = out_ptr + (start * QUERY_HEADS + head) * DIM + dims
    tl.store(out_at, mixed.to(out_ptr.dtype.element_ty))


def num_splits(segments: int, max_tokens: int) -> int:
    """Most splits of a sequence, a power of two: enough programs, none with too little to read."""
    splits = 1
    while segments * splits < PROGRAMS_WANTED and max_tokens > splits * MIN_TOKENS_OF_SPLIT:
        splits *= 2
    return splits


def attend(
    qkv: torch.Tensor,
    layer: KvLayer,
    segments: Segments,
    out: torch.Tensor,
    launch: Launch = DEFAULT_LAUNCH,
) -> None:
    """See `Kernels.attend`."""
    shape, pages = layer.shape, layer.pages
    query_heads = qkv.shape[1] - 2 * shape.kv_heads
    splits = num_splits(len(segments), segments.max_tokens)
    least = triton.cdiv(MIN_TOKENS_OF_SPLIT, shape.page_tokens)
    rows = triton.next_power_of_2(shape.kv_heads * shape.page_tokens)
    parts, sums = out, out
    if splits > 1:
        slots = len(segments) * splits * query_heads
        parts = out.new_empty(slots, shape.head_dim, dtype=torch.float32)
        sums = out.new_empty(slots, dtype=torch.float32)
    _attend_split[(len(segments), splits)](
        qkv, parts, sums, pages.slab.view(shape.dtype), layer.handles, pages.page_of,
        segments.rows, segments.starts, segments.lengths, segments.contexts,
        qkv.stride(0), layer.handles.stride(0), pages.page_bytes // shape.dtype.itemsize,
        layer.offset_bytes // shape.dtype.itemsize, pages.index_mask, shape.head_dim**-0.5,
        QUERY_HEADS=query_heads, QUERY_PAD=max(16, triton.next_power_of_2(query_heads)),
        KV_HEADS=shape.kv_heads, TOKENS=shape.page_tokens, DIM=shape.head_dim,
        TILE=max(16, min(launch.tile_rows, rows)),
        NAMING=pages.naming, LEAST=least, WHOLE=splits == 1,
        ALIGNED=pages.alignment(layer.offset_bytes, shape.dtype.itemsize),
        PRECISION="ieee" if shape.dtype is torch.float32 else "tf32",
        num_warps=launch.num_warps, num_stages=launch.num_stages,
    )  # fmt: skip
    if splits > 1:
        _combine[(len(segments), query_heads)](
            out, parts, sums, segments.starts, segments.lengths, segments.contexts,
            splits,
            QUERY_HEADS=query_heads, TOKENS=shape.page_tokens, DIM=shape.head_dim,
            SPLITS_PAD=splits, LEAST=least, num_warps=4,
        )  # fmt: skip
