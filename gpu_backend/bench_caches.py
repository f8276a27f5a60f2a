"""Caches of random numbers in pages that lie in no order, for measurements without an engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from allocator.spec import PAGE_ALIGNMENT_BYTES, align_up, ceil_div
from gpu_backend.decoder import Caches, Ragged
from gpu_backend.decoder_shape import BlockKind
from gpu_backend.kernels.views import (
    CONTIGUOUS,
    HANDLE,
    PAGE,
    KvLayer,
    Pages,
    Segments,
    StateLayer,
)

if TYPE_CHECKING:
    from gpu_backend.decoder_shape import DecoderShape

GENERATION = 5 << 26
"""Bits above the entry of every handle, so that a kernel that forgets to mask them is found out."""

INDEX_MASK = (1 << 26) - 1


@dataclass(frozen=True, slots=True)
class Load:
    """Sequences that decode.

    Attributes:
        lengths: Tokens of each, the new one included.
    """

    lengths: tuple[int, ...]

    @classmethod
    def alike(cls, sequences: int, tokens: int) -> Load:
        """So many sequences of so many tokens."""
        return cls((tokens,) * sequences)

    @property
    def sequences(self) -> int:
        """How many there are."""
        return len(self.lengths)

    @property
    def reach(self) -> int:
        """Tokens of the longest."""
        return max(self.lengths)


class RandomCaches:
    """Caches of a load, a page a layer; the same pages serve every step.

    Args:
        shape: Of the decoder.
        load: Who decodes.
        device: Where.
        naming: How pages are found: see `gpu_backend.kernels.views.HANDLE`.
    """

    def __init__(self, shape: DecoderShape, load: Load, device: str, naming: str = HANDLE) -> None:
        self._shape = shape
        self._load = load
        self._device = device
        self._naming = naming
        self._generator = torch.Generator(device).manual_seed(0)

    def caches(self) -> Caches:
        """All layers' caches."""
        kv, state = self._shape.attention.kv, self._shape.state
        layers = self._shape.count(BlockKind.ATTENTION)
        blocks = torch.tensor([ceil_div(n, kv.page_tokens) for n in self._load.lengths])
        page_bytes = align_up(kv.page_tokens * kv.token_bytes, PAGE_ALIGNMENT_BYTES)
        held = torch.arange(int(blocks.max())) < blocks[:, None, None]
        held = held.expand(-1, layers, -1).to(self._device)
        pages, names = self._pages(page_bytes, kv.dtype, held, self._naming)
        of_kv = [KvLayer(pages, names[:, i], 0, kv) for i in range(layers)]
        if state is None:
            return Caches(of_kv, [])
        layers = self._shape.count(BlockKind.STATE)
        page_bytes = align_up(state.size_bytes, PAGE_ALIGNMENT_BYTES)
        naming = HANDLE if self._naming == HANDLE else PAGE  # no state has pages in a row
        held = torch.ones(self._load.sequences, layers, dtype=torch.bool, device=self._device)
        pages, names = self._pages(page_bytes, state.dtype, held, naming)
        of_state = [StateLayer(pages, names[:, i], 0, state) for i in range(layers)]
        for layer in of_state[:1]:  # numbers of another type than that of the page's first part
            layer.inputs().normal_(generator=self._generator)
        return Caches(of_kv, of_state)

    def decodes(self) -> Ragged:
        """A step in which every sequence decodes."""
        count = self._load.sequences
        every = torch.arange(count, dtype=torch.int32, device=self._device)
        contexts = torch.tensor(self._load.lengths, dtype=torch.int32, device=self._device) - 1
        ones = torch.ones_like(every)
        segments = Segments(every, every, ones, contexts, 1, self._load.reach)
        high = self._shape.vocab_size
        tokens = torch.randint(
            high, (count,), dtype=torch.int32, device=self._device, generator=self._generator
        )
        return Ragged(tokens, segments, None, every)

    def _pages(
        self, page_bytes: int, dtype: torch.dtype, held: torch.Tensor, naming: str
    ) -> tuple[Pages, torch.Tensor]:
        """Pages of random numbers, and a table that names one where `held` says so.

        They lie in a row only if they must.
        """
        count = int(held.sum())
        numbers = torch.empty(
            count * page_bytes // dtype.itemsize, dtype=dtype, device=self._device
        )
        numbers.normal_(generator=self._generator)
        page_of, entries = (
            torch.randperm(count, device=self._device, generator=self._generator) for _ in range(2)
        )
        names = {
            HANDLE: entries | GENERATION,
            PAGE: page_of[entries],
            CONTIGUOUS: torch.arange(count, device=self._device),
        }[naming]
        pages = Pages(
            numbers.view(torch.uint8), page_bytes, page_of.to(torch.int32), INDEX_MASK, naming
        )
        table = torch.zeros(held.shape, dtype=torch.int32, device=self._device)
        table[held] = names.to(torch.int32)
        return pages, table


def floor_bytes(shape: DecoderShape, weights_bytes: int, load: Load) -> int:
    """Bytes that a decode step must move: weights and KV read, a token's KV written, states both.

    Activations and logits are left out: a perfect kernel would keep them in caches.
    """
    kv = shape.count(BlockKind.ATTENTION) * shape.attention.kv.token_bytes
    moved = weights_bytes + (sum(load.lengths) + load.sequences) * kv
    if shape.state is not None:
        states = shape.count(BlockKind.STATE) * shape.state.size_bytes
        moved += 2 * load.sequences * states
    return moved
