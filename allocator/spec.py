"""What a model asks of memory: its cache groups, and the pages that hold them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

PAGE_ALIGNMENT_BYTES = 16
"""Pages start on this boundary, the widest vector load of current GPUs."""

SLAB_ALIGNMENT_BYTES = 128
"""Slabs start on this boundary, one L2 cache line of current NVIDIA devices."""


def ceil_div(amount: int, unit: int) -> int:
    """Smallest whole number of units that covers an amount."""
    return -(-amount // unit)


def align_up(size_bytes: int, alignment_bytes: int) -> int:
    """Smallest multiple of the alignment that holds a size."""
    return ceil_div(size_bytes, alignment_bytes) * alignment_bytes


class CacheKind(Enum):
    """How a cache grows: with every token, or once a sequence."""

    ATTENTION = "attention"
    STATE = "state"


class Granularity(Enum):
    """What one page holds: one layer's share, or the share of all layers of a group."""

    LAYER = "layer"
    GROUP = "group"


@dataclass(frozen=True, slots=True)
class CacheGroup:
    """Layers that share one state spec.

    Attributes:
        name: Name of the group, unique within a model.
        kind: Whether the cache grows with tokens or is fixed per sequence.
        num_layers: Layers in the group.
        layer_bytes: Bytes of one layer: per token (attention) or per sequence (state).
    """

    name: str
    kind: CacheKind
    num_layers: int
    layer_bytes: int

    def __post_init__(self) -> None:
        if self.num_layers < 1 or self.layer_bytes < 1:
            raise ValueError(f"cache group {self.name} needs layers and bytes above zero")

    @property
    def size_bytes(self) -> int:
        """Bytes of all layers: per token (attention) or per sequence (state)."""
        return self.num_layers * self.layer_bytes


@dataclass(frozen=True, slots=True)
class CacheSpec:
    """All cache groups of a model, and how many tokens a KV page holds."""

    groups: tuple[CacheGroup, ...]
    page_tokens: int = 16

    def __post_init__(self) -> None:
        if not self.groups or self.page_tokens < 1:
            raise ValueError("a cache spec needs a group and at least one token a page")
        if len({group.name for group in self.groups}) != len(self.groups):
            raise ValueError("cache groups need names of their own")

    def bytes_per_token(self) -> int:
        """KV bytes that one more token needs, all attention layers."""
        return sum(g.size_bytes for g in self.groups if g.kind is CacheKind.ATTENTION)

    def bytes_per_sequence(self) -> int:
        """State bytes that a sequence needs whatever its length, all state layers."""
        return sum(g.size_bytes for g in self.groups if g.kind is CacheKind.STATE)

    def kinds(self) -> tuple[CacheKind, ...]:
        """The kinds present, attention first."""
        return tuple(k for k in CacheKind if any(g.kind is k for g in self.groups))


@dataclass(frozen=True, slots=True)
class PageShape:
    """How a cache group is cut into pages.

    A *block* is what a group gains at once: `page_tokens` tokens of an attention group, one
    sequence of a state group. With layer granularity a block is one page a layer.

    Attributes:
        page_bytes: Bytes of one page, a multiple of 16.
        pages_per_block: Pages of one block.
    """

    page_bytes: int
    pages_per_block: int

    @classmethod
    def of(cls, group: CacheGroup, page_tokens: int, granularity: Granularity) -> PageShape:
        """Cut a group into pages of one layer, or of all its layers."""
        tokens = page_tokens if group.kind is CacheKind.ATTENTION else 1
        layers_in_page = 1 if granularity is Granularity.LAYER else group.num_layers
        size = layers_in_page * group.layer_bytes * tokens
        return cls(align_up(size, PAGE_ALIGNMENT_BYTES), group.num_layers // layers_in_page)
