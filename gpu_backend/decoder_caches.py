"""A decoder's caches in the pools of a manager, over a backing that holds bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from allocator.spec import CacheKind
from gpu_backend.decoder import Caches
from gpu_backend.kernels.views import KvLayer, Pages, StateLayer
from gpu_backend.sequence_tables import PagedManager, handles_name, page_of_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch

    from allocator.demand import GroupCut
    from allocator.spec import CacheGroup
    from gpu_backend.arena import Arena
    from gpu_backend.decoder_shape import DecoderShape


class SizedPool(Protocol):
    """A pool that says how large its pages are."""

    @property
    def page_bytes(self) -> int:
        """Bytes of a page."""


class SizedPools(Protocol):
    """Where the bytes of a budget are."""

    @property
    def pools(self) -> Sequence[SizedPool]:
        """The pools, in order of pool number."""


class SizedManager(PagedManager, Protocol):
    """A manager that also says how large its pages are."""

    def usage(self) -> SizedPools:
        """Where every byte of the budget is now."""


class Slabs(Protocol):
    """A backing that holds bytes."""

    def slab_bytes(self, slab: int) -> torch.Tensor:
        """All bytes of a slab, mapped or not: uint8, shape (bytes,)."""


class CacheLayout:
    """Where each layer keeps what it keeps.

    Pool i lies in slab i, page j of it at byte j x page_bytes: so managers reserve their slabs.
    """

    def __init__(self, manager: SizedManager, slabs: Slabs, arena: Arena) -> None:
        self._arena = arena
        self._groups = manager.spec.groups
        self._page_tokens = manager.spec.page_tokens
        table, self._cuts = manager.paging
        self._pages = [
            Pages(
                slab=slabs.slab_bytes(number),
                page_bytes=pool.page_bytes,
                page_of=arena.sections[page_of_name(number)],
                index_mask=table.layout.index_mask,
            )
            for number, pool in enumerate(manager.usage().pools)
        ]

    def caches(self, shape: DecoderShape) -> Caches:
        """The layers of a decoder.

        Raises:
            ValueError: If the manager was laid out for other layers.
        """
        if tuple(self._groups) != shape.cache_spec().groups:
            raise ValueError("the manager's cache groups are not those of the decoder")
        kv: list[KvLayer] = []
        state: list[StateLayer] = []
        for group, cut in zip(self._groups, self._cuts, strict=True):
            for pages, handles, offset in self._layers(group, cut):
                if group.kind is CacheKind.ATTENTION:
                    kv.append(KvLayer(pages, handles, offset, shape.attention.kv))
                elif shape.state is not None:
                    state.append(StateLayer(pages, handles, offset, shape.state))
        return Caches(kv, state)

    def _layers(
        self, group: CacheGroup, cut: GroupCut
    ) -> Iterator[tuple[Pages, torch.Tensor, int]]:
        """Pages, handles and offset of each layer: a page of its own, or a part of a shared one."""
        pool, shape, is_state = cut
        handles = self._arena.sections[handles_name(group.name)]
        tokens = 1 if is_state else self._page_tokens
        own = shape.pages_per_block > 1
        for layer in range(group.num_layers):
            offset = 0 if own else layer * group.layer_bytes * tokens
            yield self._pages[pool], handles[:, layer if own else 0], offset
