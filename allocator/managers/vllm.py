"""One shared pool of uniform blocks, the attention block enlarged until it covers a state: vLLM."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from allocator.laid_out import Cut, LaidOutManager
from allocator.prefix.block_layout import BlockLayout
from allocator.prefix.cached_blocks import CachedBlocks
from allocator.slab import fixed_pool
from allocator.spec import PAGE_ALIGNMENT_BYTES, CacheKind, align_up, ceil_div

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.backing import Backing
    from allocator.interface import CacheManager
    from allocator.pool import Pool
    from allocator.spec import CacheSpec


class Mode(Enum):
    """How many blocks the state of a sequence takes (vLLM's mamba_cache_mode)."""

    NONE = "none"
    ALIGN = "align"
    ALL = "all"


class Caching(Enum):
    """Whether full blocks are found again by their text (vLLM's enable_prefix_caching)."""

    OFF = "off"
    ON = "on"


class Version(Enum):
    """vLLM releases from which on groups are formed in another way."""

    SMALLEST = "0.11.2"
    SMALLEST_OR_LARGEST = "0.19.1"


@dataclass(frozen=True, slots=True)
class VllmOptions:
    """Options of `vllm`."""

    mode: Mode = field(
        default=Mode.NONE,
        metadata={
            "help": "state blocks a sequence: none 1 (no prefix caching), align 2,"
            " all one per block of tokens (until 0.24)"
        },
    )
    version: Version = field(
        default=Version.SMALLEST_OR_LARGEST,
        metadata={"help": "first release whose rule for grouping layers to follow"},
    )
    speculative_tokens: int = field(
        default=0,
        metadata={"help": "tokens drafted a step, each takes one more block a state group"},
    )
    chunk: int = field(
        default=1,
        metadata={"help": "in mode all, tokens that a block must be a multiple of: 256 for Mamba2"},
    )
    caching: Caching = field(
        default=Caching.OFF,
        metadata={
            "help": "prefix caching: sequences share blocks of equal text; states as in mode align"
        },
    )

    def __post_init__(self) -> None:
        if self.speculative_tokens < 0:
            raise ValueError("speculative_tokens must be at least 0")
        if self.chunk < 1:
            raise ValueError(f"chunk must be at least 1 token, not {self.chunk}")
        if self.caching is Caching.ON and (self.mode is Mode.ALL or self.speculative_tokens):
            raise ValueError("caching=on is simulated in mode align only, and without speculation")


@dataclass(frozen=True, slots=True)
class BlockPlan:
    """How vLLM cuts the caches of a model.

    With p the bytes of a token of one attention layer, M the bytes of one layer's state and A the
    kernel block: B = max(A, A x ceil(M / (A x p))) tokens, and a page of B x p bytes for either
    kind. Where attention specs differ, p is the largest and the others are padded.

    Attributes:
        block_tokens: Tokens of a block (B).
        page_bytes: Bytes of a page, one layer's share of a block (P).
        layers_per_group: Layers that share a block (g).
        groups: vLLM's groups that each cache group of the model becomes.
    """

    block_tokens: int
    page_bytes: int
    layers_per_group: int
    groups: tuple[int, ...]

    @classmethod
    def of(cls, spec: CacheSpec, options: VllmOptions) -> BlockPlan:
        """The plan for a model; its `page_tokens` are the kernel block."""
        token, state = _largest(spec, CacheKind.ATTENTION), _largest(spec, CacheKind.STATE)
        tokens = _block_tokens(spec.page_tokens, token, state, options)
        per_group = _layers_per_group([g.num_layers for g in spec.groups], options.version)
        return cls(
            block_tokens=tokens,
            page_bytes=align_up(tokens * token or state, PAGE_ALIGNMENT_BYTES),
            layers_per_group=per_group,
            groups=tuple(ceil_div(g.num_layers, per_group) for g in spec.groups),
        )

    @property
    def block_bytes(self) -> int:
        """Bytes of a block: the groups alias the same g tensors, so one id costs g pages."""
        return self.layers_per_group * self.page_bytes

    def num_blocks(self, budget_bytes: int) -> int:
        """Blocks of a budget, the null block among them (N)."""
        return budget_bytes // self.block_bytes

    def layout(self, spec: CacheSpec) -> BlockLayout:
        """The block tables of a model; a group's layers are dealt to its tables in turn."""
        tables = [
            (group, group.num_layers // count + (number < group.num_layers % count))
            for group, count in zip(spec.groups, self.groups, strict=True)
            for number in range(count)
        ]
        is_state = tuple(group.kind is CacheKind.STATE for group, _ in tables)
        return BlockLayout(
            block_tokens=self.block_tokens,
            block_bytes=self.block_bytes,
            names=tuple(group.name for group, _ in tables),
            is_state=is_state,
            token_bytes=tuple(
                0 if state else layers * group.layer_bytes
                for state, (group, layers) in zip(is_state, tables, strict=True)
            ),
        )


class VllmManager(LaidOutManager):
    """Every group takes whole blocks from one pool, whether it holds tokens or a state.

    A sequence of L tokens takes ceil(L / B) blocks an attention group, and of each state group
    one in mode none, two in align, ceil(L / B) in all; each speculative token adds one a state
    group. Block 0, the null block, is never given out. Without `caching` the blocks of align and
    all are held, but nothing is shared. Models of state only have no attention block to follow:
    their page is a state, and all counts as none. In mode all the blocks that speculation adds
    stand in no block table.
    """

    name = "vllm"
    summary = "one pool of equal blocks; attention blocks are enlarged until one holds a state"
    source = "vLLM 0.11.2 to 0.24.0 (v1 kv_cache_utils, mamba block alignment), source read"
    Options = VllmOptions

    @classmethod
    def build(cls, spec: CacheSpec, backing: Backing, options: VllmOptions) -> CacheManager:
        """See `CacheManager.build`; with caching the same blocks are held in another way."""
        if options.caching is Caching.ON:
            return CachedBlocks(spec, backing, BlockPlan.of(spec, options).layout(spec))
        return cls(spec, backing, options)

    def __init__(self, spec: CacheSpec, backing: Backing, options: VllmOptions) -> None:
        if options.caching is Caching.ON:
            raise ValueError("with caching the manager is another: make it with VllmManager.build")
        self.plan = BlockPlan.of(spec, options)
        cuts = _cuts(spec, self.plan, options)
        self._num_cuts = len(cuts)
        super().__init__(spec, backing, cuts, self.plan.block_tokens)

    def block_table(self, sequence: int, group: str) -> Sequence[int]:
        """See `CacheManager.block_table`."""
        if all(candidate.name != group for candidate in self.spec.groups):
            raise KeyError(group)
        return super().block_table(sequence, group)

    def _page_bytes_by_pool(self) -> list[int]:
        return [self.plan.block_bytes]

    def _margin_pages(self, number: int, share: float) -> int:
        """A watermark is a share of all blocks, the null block among them."""
        return int(share * (self._num_pages(number) + 1))

    def _build(self) -> tuple[Sequence[Pool], tuple[int, ...]]:
        granules, size = self.backing.num_granules, self.plan.block_bytes
        usable = max(0, self.plan.num_blocks(granules * self.backing.granule_bytes) - 1)
        return [fixed_pool("blocks", size, self.backing, granules, usable)], (0,) * self._num_cuts


def _largest(spec: CacheSpec, kind: CacheKind) -> int:
    return max((group.layer_bytes for group in spec.groups if group.kind is kind), default=0)


def _block_tokens(kernel_block: int, token: int, state: int, options: VllmOptions) -> int:
    """B; in mode all c x ceil(ceil(M / p) / c) with c = lcm(chunk, A)."""
    if not token or not state:
        return kernel_block
    unit = kernel_block
    if options.mode is Mode.ALL:
        unit = math.lcm(options.chunk, kernel_block)
    return unit * ceil_div(ceil_div(state, token), unit)


def _layers_per_group(layers: list[int], version: Version) -> int:
    """The smallest bucket, or from 0.19.1 the largest if it is below 1.5 times the smallest."""
    smallest, largest = min(layers), max(layers)
    either = version is Version.SMALLEST_OR_LARGEST and 2 * largest < 3 * smallest
    return largest if either else smallest


def _cuts(spec: CacheSpec, plan: BlockPlan, options: VllmOptions) -> list[Cut]:
    """Blocks of each group; what speculation adds to growing state groups comes apart, last."""
    grows = options.mode is Mode.ALL and bool(spec.bytes_per_token())
    extra = options.speculative_tokens
    once = extra + (2 if options.mode is Mode.ALIGN else 1)
    cuts, beside = [], []
    for group, groups in zip(spec.groups, plan.groups, strict=True):
        if group.kind is CacheKind.ATTENTION or grows:
            cuts.append(Cut(group.name, CacheKind.ATTENTION, groups))
        else:
            cuts.append(Cut(group.name, CacheKind.STATE, groups * once))
        if group.kind is CacheKind.STATE and grows and extra:
            beside.append(Cut(f"{group.name} drafts", CacheKind.STATE, groups * extra))
    return cuts + beside
