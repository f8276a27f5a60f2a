"""Caches as kernels see them: pages in a slab, found by handle, cut into what a layer keeps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from allocator.spec import PAGE_ALIGNMENT_BYTES

HANDLE, PAGE, CONTIGUOUS = "handle", "page", "contiguous"
"""What tables of sequences hold: handles; to compare with, pages, or the first of pages in a row.
The last is for tables of blocks only."""


def item_bytes(dtype: torch.dtype) -> int:
    """Bytes of an element."""
    return int(dtype.itemsize)


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages of one pool, end to end in its slab.

    Attributes:
        slab: uint8, shape (bytes,); page i starts at byte i x page_bytes.
        page_bytes: Bytes of one page.
        page_of: int32, shape (entries,): the page that an entry of the page table names.
        index_mask: Leaves the entry of a handle.
        naming: What the tables of sequences hold; handles, unless their cost is measured.
    """

    slab: torch.Tensor
    page_bytes: int
    page_of: torch.Tensor
    index_mask: int
    naming: str = HANDLE

    def alignment(self, offset_bytes: int, itemsize: int) -> int:
        """Elements on a multiple of which a part at an offset starts in every page: a vector's."""
        return math.gcd(self.page_bytes, offset_bytes, PAGE_ALIGNMENT_BYTES) // itemsize

    def of(self, handles: torch.Tensor) -> torch.Tensor:
        """Pages that handles (int32, any shape) name; int32, same shape."""
        if self.naming == HANDLE:
            return self.page_of[handles & self.index_mask]
        if self.naming == CONTIGUOUS:
            behind = torch.arange(handles.shape[-1], dtype=torch.int32, device=handles.device)
            return handles[..., :1] + behind
        return handles

    def cut(self, dtype: torch.dtype, offset_bytes: int, shape: tuple[int, ...]) -> torch.Tensor:
        """What every page has at an offset, as a view; shape (pages, *shape)."""
        elements = self.slab.view(dtype)
        stride, first = self.page_bytes // dtype.itemsize, offset_bytes // dtype.itemsize
        num_pages = self.slab.numel() // self.page_bytes
        size = 1
        for extent in shape:
            size *= extent
        rows = elements[: num_pages * stride].view(num_pages, stride)
        return rows[:, first : first + size].unflatten(1, shape)


@dataclass(frozen=True, slots=True)
class KvShape:
    """Keys and values of one layer in a page: (2, kv_heads, page_tokens, head_dim)."""

    page_tokens: int
    kv_heads: int
    head_dim: int
    dtype: torch.dtype

    @property
    def token_bytes(self) -> int:
        """Bytes of one token."""
        return 2 * self.kv_heads * self.head_dim * item_bytes(self.dtype)


@dataclass(frozen=True, slots=True)
class KvLayer:
    """Keys and values of one attention layer.

    Attributes:
        pages: The pool's pages.
        handles: int32, shape (rows, blocks): the page of each block of tokens of each sequence.
        offset_bytes: Where the layer's part of a page starts.
        shape: What lies there.
    """

    pages: Pages
    handles: torch.Tensor
    offset_bytes: int
    shape: KvShape

    def view(self) -> torch.Tensor:
        """All pages, shape (pages, 2, kv_heads, page_tokens, head_dim)."""
        shape = self.shape
        extents = (2, shape.kv_heads, shape.page_tokens, shape.head_dim)
        return self.pages.cut(shape.dtype, self.offset_bytes, extents)


@dataclass(frozen=True, slots=True)
class StateShape:
    """The state of one layer in a page: recurrent (heads, head_dim, state_size), then inputs.

    The last inputs of the convolution, (conv_width - 1, channels), oldest first, have the type
    of the weights.
    """

    heads: int
    head_dim: int
    state_size: int
    groups: int
    conv_width: int
    dtype: torch.dtype
    conv_dtype: torch.dtype

    @property
    def inner_size(self) -> int:
        """Channels of all heads."""
        return self.heads * self.head_dim

    @property
    def channels(self) -> int:
        """Channels of the convolution: those of the heads, then B and C of every group."""
        return self.inner_size + 2 * self.groups * self.state_size

    @property
    def recurrent_bytes(self) -> int:
        """Bytes of the recurrent state."""
        return self.inner_size * self.state_size * item_bytes(self.dtype)

    @property
    def size_bytes(self) -> int:
        """Bytes of a layer's whole state."""
        return self.recurrent_bytes + (self.conv_width - 1) * self.channels * item_bytes(
            self.conv_dtype
        )


@dataclass(frozen=True, slots=True)
class StateLayer:
    """The states of one state-space layer.

    Attributes:
        pages: The pool's pages.
        handles: int32, shape (rows,): the page of each sequence.
        offset_bytes: Where the layer's part of a page starts.
        shape: What lies there.
    """

    pages: Pages
    handles: torch.Tensor
    offset_bytes: int
    shape: StateShape

    @property
    def conv_offset_bytes(self) -> int:
        """Where the convolution's inputs start in a page."""
        return self.offset_bytes + self.shape.recurrent_bytes

    def recurrent(self) -> torch.Tensor:
        """All recurrent states, shape (pages, heads, head_dim, state_size)."""
        shape = self.shape
        extents = (shape.heads, shape.head_dim, shape.state_size)
        return self.pages.cut(shape.dtype, self.offset_bytes, extents)

    def inputs(self) -> torch.Tensor:
        """All kept inputs of convolutions, shape (pages, conv_width - 1, channels)."""
        extents = (self.shape.conv_width - 1, self.shape.channels)
        return self.pages.cut(self.shape.conv_dtype, self.conv_offset_bytes, extents)


@dataclass(frozen=True, slots=True)
class Segments:
    """Runs of new tokens, each of one sequence, within the flat batch of a step.

    Attributes:
        rows: int32, shape (segments,): row of the sequence in the tables of handles.
        starts: int32: its first token in the flat batch.
        lengths: int32: its tokens; 0 for a segment that only fills the batch up.
        contexts: int32: tokens of the sequence computed before.
        max_length: No segment has more tokens.
        max_tokens: No sequence has more tokens with its segment.
    """

    rows: torch.Tensor
    starts: torch.Tensor
    lengths: torch.Tensor
    contexts: torch.Tensor
    max_length: int
    max_tokens: int

    def __len__(self) -> int:
        return int(self.rows.numel())

    def listed(self) -> list[tuple[int, int, int, int]]:
        """(row, start, length, context) of each segment with tokens; waits for the device."""
        columns = (self.rows, self.starts, self.lengths, self.contexts)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return [segment for segment in rows if segment[2]]
