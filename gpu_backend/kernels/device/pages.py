"""Whole pages in Triton: copied, filled and compared, one launch a list of pages."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

WORD_BYTES = 4
TILE = 4096
"""Words a program handles: 16 KiB."""

SCATTER_TILE = 1024


@triton.jit
def _copy(slab_ptr, sources_ptr, targets_ptr, WORDS: tl.constexpr, TILE: tl.constexpr):
    pair, words = tl.program_id(0), tl.program_id(1) * TILE + tl.arange(0, TILE)
    source = tl.multiple_of(tl.load(sources_ptr + pair) // 4, 4)
    target = tl.multiple_of(tl.load(targets_ptr + pair) // 4, 4)
    inside = words < WORDS
    tl.store(
        slab_ptr + target + words, tl.load(slab_ptr + source + words, mask=inside), mask=inside
    )


@triton.jit
def _fill(slab_ptr, pages_ptr, word, WORDS: tl.constexpr, TILE: tl.constexpr):
    words = tl.program_id(1) * TILE + tl.arange(0, TILE)
    page = tl.multiple_of(tl.load(pages_ptr + tl.program_id(0)) // 4, 4)
    filled = tl.zeros([TILE], tl.int32) + word
    tl.store(slab_ptr + page + words, filled, mask=words < WORDS)


@triton.jit
def _count_other(slab_ptr, pages_ptr, counts_ptr, word, WORDS: tl.constexpr, TILE: tl.constexpr):
    words = tl.program_id(1) * TILE + tl.arange(0, TILE)
    page = tl.multiple_of(tl.load(pages_ptr + tl.program_id(0)) // 4, 4)
    found = tl.load(slab_ptr + page + words, mask=words < WORDS, other=word)
    others = tl.sum((found != word).to(tl.int32), 0)
    if others > 0:
        tl.atomic_add(counts_ptr + tl.program_id(0), others)


@triton.jit
def _scatter(target_ptr, places_ptr, values_ptr, count, TILE: tl.constexpr):
    at = tl.program_id(0) * TILE + tl.arange(0, TILE)
    inside = at < count
    places = tl.load(places_ptr + at, mask=inside, other=0)
    tl.store(target_ptr + places, tl.load(values_ptr + at, mask=inside), mask=inside)


def copy_pages(
    slab: torch.Tensor, page_bytes: int, sources: torch.Tensor, targets: torch.Tensor
) -> None:
    """See `gpu_backend.kernels.pages.copy_pages`."""
    if len(sources):
        words = page_bytes // WORD_BYTES
        _copy[_grid(len(sources), page_bytes)](
            slab.view(torch.int32), sources, targets, WORDS=words, TILE=TILE
        )


def fill_pages(slab: torch.Tensor, page_bytes: int, pages: torch.Tensor, word: int) -> None:
    """See `gpu_backend.kernels.pages.fill_pages`."""
    if len(pages):
        words = page_bytes // WORD_BYTES
        _fill[_grid(len(pages), page_bytes)](
            slab.view(torch.int32), pages, word, WORDS=words, TILE=TILE
        )


def count_other_words(
    slab: torch.Tensor, page_bytes: int, pages: torch.Tensor, word: int
) -> torch.Tensor:
    """See `gpu_backend.kernels.pages.count_other_words`."""
    counts = torch.zeros(len(pages), dtype=torch.int32, device=slab.device)
    if len(pages):
        words = page_bytes // WORD_BYTES
        _count_other[_grid(len(pages), page_bytes)](
            slab.view(torch.int32), pages, counts, word, WORDS=words, TILE=TILE
        )
    return counts


def scatter(target: torch.Tensor, changes: torch.Tensor) -> None:
    """See `gpu_backend.kernels.pages.scatter`."""
    count = changes.shape[1]
    if count:
        grid = (triton.cdiv(count, SCATTER_TILE),)
        _scatter[grid](target, changes[0], changes[1], count, TILE=SCATTER_TILE)


def _grid(pages: int, page_bytes: int) -> tuple[int, int]:
    return pages, triton.cdiv(page_bytes // WORD_BYTES, TILE)
