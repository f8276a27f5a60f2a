"""Two static pools as SGLang sizes them: state slots by a ratio, token slots from the rest."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from allocator.laid_out import Slab, SlabsManager, most_pages
from allocator.pool_names import pool_names
from allocator.prefix.radix_cache import RadixCache
from allocator.prefix.radix_pools import RadixLayout
from allocator.prefix.state_marks import LastState, TrackedStates
from allocator.spec import PAGE_ALIGNMENT_BYTES, CacheKind, align_up

if TYPE_CHECKING:
    from allocator.backing import Backing
    from allocator.interface import CacheManager
    from allocator.prefix.state_marks import StateMarks
    from allocator.spec import CacheGroup, CacheSpec

STATES_PER_REQUEST = (1, 3, 4, 5)
"""Without radix cache; base with it; extra buffer without overlap, or lazy; with overlap."""


class Radix(Enum):
    """Whether a radix tree keeps what was computed (SGLang's default; disable_radix_cache)."""

    OFF = "off"
    ON = "on"


class Strategy(Enum):
    """Which states the tree gets (SGLang's mamba_radix_cache_strategy)."""

    NO_BUFFER = "no_buffer"
    EXTRA_BUFFER = "extra_buffer"


STATES_OF = {Strategy.NO_BUFFER: (3,), Strategy.EXTRA_BUFFER: (5, 4)}
"""Slots a request with radix cache, by strategy; the first one unless told."""


@dataclass(frozen=True, slots=True)
class SglangOptions:
    """Options of `sglang`."""

    ratio: float = field(
        default=0.9,
        metadata={"help": "state bytes to KV bytes, SGLang's mamba_full_memory_ratio"},
    )
    states: int = field(
        default=1,
        metadata={
            "help": "state slots reserved a request: 1 without radix cache, else 3, 4 or 5;"
            " with radix=on 1 means 3 for no_buffer and 5 for extra_buffer"
        },
    )
    page_size: int = field(
        default=1,
        metadata={"help": "tokens of a KV page"},
    )
    radix: Radix = field(
        default=Radix.OFF,
        metadata={"help": "a radix tree keeps KV and states of prompts and ended requests"},
    )
    strategy: Strategy = field(
        default=Strategy.NO_BUFFER,
        metadata={
            "help": "with radix=on, states kept: no_buffer where a chunk or a request ends,"
            " extra_buffer on a grid (SGLang's default where it schedules with overlap)"
        },
    )
    grid: int = field(
        default=64,
        metadata={"help": "extra_buffer: tokens between states in a chunk, the kernel's chunk"},
    )
    track_interval: int = field(
        default=256,
        metadata={"help": "extra_buffer: tokens between states in decoding"},
    )

    def __post_init__(self) -> None:
        if not 0 < self.ratio < float("inf"):
            raise ValueError(f"ratio must be above 0, not {self.ratio}")
        if self.states not in STATES_PER_REQUEST:
            raise ValueError(f"states must be 1, 3, 4 or 5, not {self.states}")
        if self.page_size < 1:
            raise ValueError(f"page_size must be at least 1 token, not {self.page_size}")
        if min(self.grid, self.track_interval) < 1:
            raise ValueError("grid and track_interval must be at least 1 token")
        if self.radix is Radix.ON:
            self._check_radix()

    def _check_radix(self) -> None:
        wanted = STATES_OF[self.strategy]
        if self.states not in (1, *wanted):
            named = " or ".join(map(str, reversed(wanted)))
            raise ValueError(f"strategy={self.strategy.value} needs states={named}")
        if self.strategy is Strategy.NO_BUFFER and self.page_size > 1:
            raise ValueError(
                "strategy=no_buffer keeps states after any token, which needs page_size=1;"
                " take strategy=extra_buffer (without state layers they are the same)"
            )

    @property
    def slots(self) -> int:
        """State slots a request is reckoned with."""
        if self.radix is Radix.ON and self.states == 1:
            return STATES_OF[self.strategy][0]
        return self.states

    @property
    def marks(self) -> StateMarks:
        """Which states a radix tree gets; extra_buffer tracks in the slots above the base."""
        if self.strategy is Strategy.NO_BUFFER:
            return LastState()
        grid = math.lcm(self.grid, self.page_size)
        return TrackedStates(
            grid, math.lcm(grid, self.track_interval), self.slots - STATES_OF[Strategy.NO_BUFFER][0]
        )


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

    @classmethod
    def build(cls, spec: CacheSpec, backing: Backing, options: SglangOptions) -> CacheManager:
        """See `CacheManager.build`; with a radix tree the same pools are held in another way."""
        if options.radix is Radix.ON:
            return RadixCache(spec, backing, radix_layout(spec, backing, options))
        return cls(spec, backing, options)

    def __init__(self, spec: CacheSpec, backing: Backing, options: SglangOptions) -> None:
        if options.radix is Radix.ON:
            raise ValueError("with radix=on the manager is another: make it with build")
        super().__init__(spec, backing, lay_out(spec, backing, options), options.page_size)


def radix_layout(spec: CacheSpec, backing: Backing, options: SglangOptions) -> RadixLayout:
    """The same pools, as a radix tree takes them."""
    slabs = lay_out(spec, backing, options)
    is_state = tuple(group.kind is CacheKind.STATE for group in spec.groups)
    sizes = {state: slab.num_pages for state, slab in zip(is_state, slabs, strict=True)}
    has_states = True in sizes
    return RadixLayout(
        names=tuple(pool_names(spec)),
        page_bytes=tuple(slab.page_bytes for slab in slabs),
        num_granules=tuple(slab.num_granules(backing.granule_bytes) for slab in slabs),
        is_state=is_state,
        num_pages=sizes.get(False, 0),
        num_slots=sizes.get(True, 0),
        page_tokens=options.page_size,
        marks=options.marks if has_states else LastState(),
        states=options.slots,
    )


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
