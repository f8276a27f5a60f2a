"""Two static pools as SGLang sizes them: state slots by a ratio, token slots from the rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from allocator.laid_out import Slab, SlabsManager, most_pages
from allocator.spec import PAGE_ALIGNMENT_BYTES, CacheKind, align_up

if TYPE_CHECKING:
    from allocator.backing import Backing
    from allocator.spec import CacheGroup, CacheSpec

STATES_PER_REQUEST = (1, 3, 4, 5)
"""Without radix cache; base with it; extra buffer without overlap, or lazy; with overlap."""


@dataclass(frozen=True, slots=True)
class SglangOptions:
    """Options of `sglang`."""

    ratio: float = field(
        default=0.9,
        metadata={"help": "state bytes to KV bytes, SGLang's mamba_full_memory_ratio"},
    )
    states: int = field(
        default=1,
        metadata={"help": "state slots reserved a request: 1 without radix cache, else 3, 4 or 5"},
    )
    page_size: int = field(
        default=1,
        metadata={"help": "tokens of a KV page"},
    )

    def __post_init__(self) -> None:
        if not 0 < self.ratio < float("inf"):
            raise ValueError(f"ratio must be above 0, not {self.ratio}")
        if self.states not in STATES_PER_REQUEST:
            raise ValueError(f"states must be 1, 3, 4 or 5, not {self.states}")
        if self.page_size < 1:
            raise ValueError(f"page_size must be at least 1 token, not {self.page_size}")


class SglangManager(SlabsManager):
    """State slots K = floor((budget x r / (1 + r) - slot) / slot), and KV tokens from the rest.

    A slot holds one sequence's conv and SSM state of all layers. One slot more than K is
    allocated, for writes that nobody reads. A request is admitted only with `states` slots free,
    which it keeps to its end. The tensors of each cache group fill whole granules of their own,
    as a caching allocator on the device rounds them; a model with one kind gives it everything.
    """

    name = "sglang"
    summary = "two static pools: state slots by a ratio of bytes, token slots from the rest"
    source = "SGLang 0.5.23 (mamba_full_memory_ratio, MambaPool), source read"
    Options = SglangOptions

    def __init__(self, spec: CacheSpec, backing: Backing, options: SglangOptions) -> None:
        super().__init__(spec, backing, lay_out(spec, backing, options), options.page_size)


def lay_out(spec: CacheSpec, backing: Backing, options: SglangOptions) -> list[Slab]:
    """The slab of each cache group: state slots first, KV pages in the granules left."""
    sizes = [_page_bytes(group, options.page_size) for group in spec.groups]
    is_state = [group.kind is CacheKind.STATE for group in spec.groups]
    states = [size for size, state in zip(sizes, is_state, strict=True) if state]
    caches = [size for size, state in zip(sizes, is_state, strict=True) if not state]
    slots = _num_slots(states, backing, options.ratio if caches else float("inf"))
    slabs = [Slab(size, options.states, slots, num_spare=int(slots > 0)) for size in states]
    left = backing.num_granules - sum(slab.num_granules(backing.granule_bytes) for slab in slabs)
    pages = most_pages(caches, left, backing.granule_bytes) if caches else 0
    slabs_of_states = iter(slabs)
    return [
        next(slabs_of_states) if state else Slab(size, 1, pages)
        for size, state in zip(sizes, is_state, strict=True)
    ]


def _page_bytes(group: CacheGroup, page_size: int) -> int:
    tokens = page_size if group.kind is CacheKind.ATTENTION else 1
    return align_up(group.size_bytes * tokens, PAGE_ALIGNMENT_BYTES)


def _num_slots(states: list[int], backing: Backing, ratio: float) -> int:
    """Slots that requests can get: one less than are allocated; 0 without a state."""
    if not states:
        return 0
    budget_bytes = backing.num_granules * backing.granule_bytes
    share_bytes = int(budget_bytes / (1 + 1 / ratio))  # r / (1 + r), all of it for an infinite r
    most = most_pages(states, backing.num_granules, backing.granule_bytes)
    return max(0, min(share_bytes // sum(states), most) - 1)
