"""vLLM: one pool of equal blocks, pages of every layer padded to one size."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from allocator.managers.vllm import BlockPlan, Mode, Version, VllmOptions
from allocator.spec import CacheKind, CacheSpec, ceil_div
from scenarios.capacity.engine import Engine, Question, Refusal, Share, Sizing
from scenarios.capacity.engine_version import EngineVersion
from scenarios.capacity.vllm_groups import KERNEL_BLOCK, Drafts, cache_groups, kernel_block
from scenarios.errors import UnknownNameError, UserError

NEWEST = "0.24.0"
GROUP_RULE = EngineVersion.of("0.19.1")
NEW_TOKENS = EngineVersion.of("0.20.1")
NO_MODE_ALL = EngineVersion.of("0.33")
MAMBA2_CHUNK = 256
MODES = tuple(mode.value for mode in Mode)


@dataclass(frozen=True, slots=True)
class VllmSettings:
    """Settings that decide about memory, by vLLM's names.

    Attributes:
        engine_version: Release whose rules to follow.
        max_num_seqs: Sequences that may run at once; 0 for the largest that starts.
        mamba_cache_mode: `none`, `align` or `all`.
        block_size: Tokens of an attention block as configured; it is only ever raised.
        num_speculative_tokens: Tokens drafted a step.
        draft_attention_layers: Attention layers of the draft; -1 takes the model's own draft
            layers if tokens are drafted, else none.
        max_num_batched_tokens: Tokens of one step.
        mamba_chunk: In mode all, tokens that a block must be a multiple of.
    """

    engine_version: str = NEWEST
    max_num_seqs: int = 0
    mamba_cache_mode: str = "none"
    block_size: int = KERNEL_BLOCK
    num_speculative_tokens: int = 0
    draft_attention_layers: int = -1
    max_num_batched_tokens: int = 8192
    mamba_chunk: int = MAMBA2_CHUNK

    def __post_init__(self) -> None:
        if self.mamba_cache_mode not in MODES:
            raise UnknownNameError("mamba cache mode", self.mamba_cache_mode, MODES)
        too_new = EngineVersion.of(self.engine_version) >= NO_MODE_ALL
        if self.mamba_cache_mode == Mode.ALL.value and too_new:
            raise UserError("--mamba-cache-mode all is gone from vLLM 0.33 on: use align")


class Vllm(Engine):
    """Groups of equally many layers alias the same tensors; a block serves one group at a time."""

    name = "vllm"
    summary = "one pool of equal blocks; attention blocks are enlarged until one holds a state"
    source = "vLLM 0.11.2, 0.19.1, 0.24.0 and 0.33.0 as published (kv_cache_utils, source read)"
    Options = VllmSettings

    @classmethod
    def size(cls, question: Question, options: VllmSettings) -> VllmSizing:
        """See `Engine.size`."""
        return VllmSizing(question, options)


class VllmSizing(Sizing):
    """B = A x ceil(M / (A x p)), N = floor(available / (g x B x p)), R by group; N / R run."""

    def __init__(self, question: Question, settings: VllmSettings) -> None:
        self.question, self.settings = question, settings
        version = EngineVersion.of(settings.engine_version)
        self.prints_new_tokens = version >= NEW_TOKENS
        self.mode = Mode(settings.mamba_cache_mode)
        drafts = Drafts(settings.num_speculative_tokens, settings.draft_attention_layers)
        groups = cache_groups(question, drafts)
        block = kernel_block(question.model, settings.block_size, is_later=version >= NO_MODE_ALL)
        self.windows = [window for _, window in groups]
        self.spec = CacheSpec(tuple(group for group, _ in groups), block)
        grouping = Version.SMALLEST_OR_LARGEST if version >= GROUP_RULE else Version.SMALLEST
        chunk = settings.mamba_chunk if self.mode is Mode.ALL else 1
        options = VllmOptions(self.mode, grouping, drafts.tokens, chunk)
        self.plan = BlockPlan.of(self.spec, options)
        self.num_blocks = self.plan.num_blocks(question.available_bytes)

    def blocks_by_group(self, tokens: int) -> list[int]:
        """Blocks that a request of so many tokens takes of each cache group of the model."""
        kinds = zip(self.spec.groups, self.windows, self.plan.groups, strict=True)
        return [
            count * (self._states(tokens) if window is None else self._kv_blocks(tokens, window))
            for _, window, count in kinds
        ]

    def blocks_per_request(self, tokens: int) -> int:
        """Blocks of a request over all groups (R)."""
        return sum(self.blocks_by_group(tokens))

    def concurrency(self, tokens: int) -> float:
        """See `Sizing.concurrency`: N / R, the null block counted in, as vLLM prints it."""
        return self.num_blocks / self.blocks_per_request(tokens)

    def max_context_tokens(self) -> int:
        """VLLM's estimate of the longest request: floor((N - fixed) / attention groups) x B."""
        fixed = growing = 0
        for window, count in zip(self.windows, self.plan.groups, strict=True):
            if window is None and self.mode is not Mode.ALL:
                fixed += count * self._states(1)
            elif window:
                fixed += count * self._kv_blocks(self.question.max_model_len, window)
            else:
                growing += count
        if not growing:
            return self.question.max_model_len if self.num_blocks >= fixed else 0
        return max(0, (self.num_blocks - fixed) // growing) * self.plan.block_tokens

    def figures(self) -> dict[str, Any]:
        """See `Sizing.figures`."""
        tokens, plan = self.question.max_model_len, self.plan
        state_bytes = self._state_bytes()
        concurrency = self.concurrency(tokens)
        exact = Fraction(self.num_blocks * tokens, self.blocks_per_request(tokens))
        new, old = int(exact), self.num_blocks // sum(plan.groups) * plan.block_tokens
        padding = 100 * (plan.page_bytes - state_bytes) / state_bytes if state_bytes else None
        return {
            "block_size_tokens": plan.block_tokens,
            "state_page_bytes": state_bytes,
            "page_bytes": plan.page_bytes,
            "page_padding_pct": padding,
            "cache_groups": sum(plan.groups),
            "layers_per_group": plan.layers_per_group,
            "padding_layers": self._padding_layers(),
            "padding_layers_pct": 100 * self._padding_layers() / self._num_layers(),
            "num_blocks": self.num_blocks,
            "blocks_per_request": self.blocks_per_request(tokens),
            "max_concurrency": concurrency,
            "kv_cache_tokens": new,
            "kv_cache_tokens_old_formula": old,
            "kv_cache_tokens_printed": new if self.prints_new_tokens else old,
            "max_num_seqs": self.max_num_seqs(),
            "max_context_tokens": self.max_context_tokens(),
        }

    def max_num_seqs(self) -> int:
        """Sequences that may run: as set, or the largest number that starts."""
        return self.settings.max_num_seqs or self.num_blocks

    def refusals(self) -> list[Refusal]:
        """See `Sizing.refusals`."""
        return [*self._length_refusals(), *self._setting_refusals()]

    def notes(self) -> list[str]:
        """See `Sizing.notes`."""
        printed = "N / R x max_model_len" if self.prints_new_tokens else "N / groups x block"
        notes = [
            (
                f"vLLM {self.settings.engine_version} prints its KV cache size as {printed}; it"
                f" counts tokens of requests of {self.question.max_model_len:,} tokens, not of any"
                " length."
            )
        ]
        if self.mode is Mode.ALIGN:
            notes.append(
                "In mode align the state left at each block boundary stays findable and competes"
                f" with KV for the pool: one block a state group every {self.plan.block_tokens:,}"
                " tokens of cached text."
            )
        return notes

    def ledger(self) -> list[Share]:
        """See `Sizing.ledger`."""
        tokens, plan = self.question.max_model_len, self.plan
        usable = max(0, self.num_blocks - 1)
        running = min(usable // self.blocks_per_request(tokens), self.max_num_seqs())
        shares = self._request_shares(running)
        taken = running * self.blocks_per_request(tokens)
        null_blocks = min(1, self.num_blocks)
        block = plan.block_bytes
        rest = self.question.available_bytes - self.num_blocks * block
        free = usable - taken
        whole = f"{running} requests of {tokens:,} tokens"
        return [
            *shares,
            Share("free blocks", free * block, f"{free:,} blocks that {whole} leave"),
            Share("null block", null_blocks * block, "block 0 is never given out"),
            Share("rounding", rest, "less than one block"),
        ]

    def _request_shares(self, running: int) -> list[Share]:
        """What the blocks of so many requests hold, over all groups."""
        tokens, plan = self.question.max_model_len, self.plan
        kv = kv_tail = state = working = padding = slots = 0
        by_group = self.blocks_by_group(tokens)
        kinds = zip(self.spec.groups, self.windows, plan.groups, by_group, strict=True)
        for group, window, count, blocks in kinds:
            pages = blocks // count * group.num_layers  # of real layers
            slots += blocks * plan.layers_per_group - pages
            if window is None:
                state += group.num_layers * group.layer_bytes
                working += (pages - group.num_layers) * group.layer_bytes
                padding += pages * (plan.page_bytes - group.layer_bytes)
                continue
            held = min(tokens, window) if window else tokens
            used = group.num_layers * held * group.layer_bytes
            kv += used
            room = pages * plan.block_tokens * group.layer_bytes
            kv_tail += room - used
            padding += pages * plan.page_bytes - room
        g, size = plan.layers_per_group, plan.page_bytes
        return [
            Share("KV useful", running * kv, "tokens x bytes a token", useful=True),
            Share("state useful", running * state, "one state a sequence", useful=True),
            Share("KV last blocks", running * kv_tail, "room behind the last token of a sequence"),
            Share("state copies", running * working, f"further states in mode {self.mode.value}"),
            Share("page padding", running * padding, f"pages of {size:,} bytes for every layer"),
            Share("padding slots", running * slots * size, f"groups filled up to {g} layers"),
        ]

    def _kv_blocks(self, tokens: int, window: int) -> int:
        """Blocks of one attention group.

        A window keeps its last window - 1 tokens and those of a step, and may start inside a
        block, which costs one more (vLLM's SlidingWindowSpec; recalled, not re-read).
        """
        if not window:
            return ceil_div(tokens, self.plan.block_tokens)
        held = min(window - 1 + self.settings.max_num_batched_tokens, tokens)
        return ceil_div(held, self.plan.block_tokens) + 1

    def _states(self, tokens: int) -> int:
        """Blocks of one state group: 1 + s in mode none, 2 + s in align, ceil(L / B) + s in all."""
        drafts = self.settings.num_speculative_tokens
        if self.mode is Mode.ALL and any(window is not None for window in self.windows):
            return ceil_div(tokens, self.plan.block_tokens) + drafts
        return drafts + (2 if self.mode is Mode.ALIGN else 1)

    def _state_bytes(self) -> int:
        groups = self.spec.groups
        return max((g.layer_bytes for g in groups if g.kind is CacheKind.STATE), default=0)

    def _num_layers(self) -> int:
        return sum(group.num_layers for group in self.spec.groups)

    def _padding_layers(self) -> int:
        return sum(self.plan.groups) * self.plan.layers_per_group - self._num_layers()

    def _length_refusals(self) -> list[Refusal]:
        tokens = self.question.max_model_len
        needed = self.blocks_per_request(tokens)
        if needed <= self.num_blocks:
            return []
        longest = self.max_context_tokens()
        rule = f"one request of {tokens:,} tokens takes {needed:,} blocks of {self.num_blocks:,}"
        remedy = f"--max-model-len {longest}" if longest else "more memory for the cache"
        return [Refusal(rule, remedy)]

    def _setting_refusals(self) -> list[Refusal]:
        found = []
        if self.settings.max_num_seqs > self.num_blocks and self._has_states():
            found.append(
                Refusal(
                    f"max_num_seqs {self.settings.max_num_seqs:,} exceeds the"
                    f" {self.num_blocks:,} blocks (checked with CUDA graphs on)",
                    f"--max-num-seqs {self.num_blocks}",
                )
            )
        batched, block = self.settings.max_num_batched_tokens, self.plan.block_tokens
        if self.mode is Mode.ALIGN and self._has_states() and batched < block:
            found.append(
                Refusal(
                    f"mode align needs max_num_batched_tokens of a block, {block:,}, at least",
                    f"--max-num-batched-tokens {block}",
                )
            )
        return found

    def _has_states(self) -> bool:
        return any(window is None for window in self.windows)
