"""kvcached: physical pages mapped on demand, each a whole number of cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from allocator.spec import ceil_div
from scenarios.capacity.engine import Engine, Question, Refusal, Share, Sizing

BLOCK_TOKENS = 16
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class KvcachedSettings:
    """Settings that decide about memory.

    Attributes:
        page_mib: Bytes of a physical page in MiB (`KVCACHED_PAGE_SIZE_MB`), a multiple of 2.
        max_num_seqs: State slots to report the size of.
    """

    page_mib: int = 2
    max_num_seqs: int = 1


class Kvcached(Engine):
    """A cell is the smallest divisor of the page that holds one layer's state of a sequence."""

    name = "kvcached"
    summary = "physical pages mapped on demand; a state takes a cell that divides the page"
    source = "kvcached (repository read) and its pull request 459"
    Options = KvcachedSettings

    @classmethod
    def size(cls, question: Question, options: KvcachedSettings) -> KvcachedSizing:
        """See `Engine.size`."""
        return KvcachedSizing(question, options)


class KvcachedSizing(Sizing):
    """Each layer has a range of its own; pages hold cells of states or blocks of tokens."""

    def __init__(self, question: Question, settings: KvcachedSettings) -> None:
        self.question, self.settings = question, settings
        model, tp = question.model, question.tp
        self.page_bytes = settings.page_mib * MIB
        self.raw_bytes = model.state_bytes_per_layer(question.state_dtype, tp)
        self.layers = model.state_layers
        self.kv_layer_bytes = [
            (kind.layers, size)
            for kind, size in zip(
                model.attention, model.kv_layer_bytes(question.kv_dtype, tp), strict=True
            )
        ]

    @property
    def cell_bytes(self) -> int:
        """Bytes that one layer's state of a sequence takes; 0 without states."""
        if not self.raw_bytes:
            return 0
        if self.raw_bytes > self.page_bytes:
            return ceil_div(self.raw_bytes, self.page_bytes) * self.page_bytes
        cells = self.page_bytes // self.raw_bytes
        while self.page_bytes % cells:
            cells -= 1
        return self.page_bytes // cells

    def figures(self) -> dict[str, Any]:
        """See `Sizing.figures`."""
        slots = self.settings.max_num_seqs
        return {
            "state_bytes": self.raw_bytes,
            "state_cell_bytes": self.cell_bytes,
            "state_pool_bytes": self.layers * slots * self.cell_bytes,
            "state_padding_bytes": self.layers * slots * (self.cell_bytes - self.raw_bytes),
            "max_concurrency": self.concurrency(self.question.max_model_len),
            "max_context_tokens": self._max_context_tokens(),
        }

    def concurrency(self, tokens: int) -> float:
        """See `Sizing.concurrency`: by bytes of cells and blocks, partly filled pages left out."""
        each = self.layers * self.cell_bytes + self._kv_bytes(tokens)
        return self.question.available_bytes / each

    def ledger(self) -> list[Share]:
        """See `Sizing.ledger`."""
        tokens, available = self.question.max_model_len, self.question.available_bytes
        running = int(self.concurrency(tokens))
        kv = running * sum(layers * tokens * size for layers, size in self.kv_layer_bytes)
        state = running * self.layers * self.raw_bytes
        tail = running * self._kv_bytes(tokens) - kv
        padding = running * self.layers * self.cell_bytes - state
        rest = available - kv - state - tail - padding
        return [
            Share("KV useful", kv, "tokens x bytes a token", useful=True),
            Share("state useful", state, "one state a sequence", useful=True),
            Share("KV last blocks", tail, "room behind the last token of a sequence"),
            Share("cell padding", padding, "a cell must divide the page"),
            Share("free", rest, f"what {running} requests of {tokens:,} tokens leave"),
        ]

    def refusals(self) -> list[Refusal]:
        """See `Sizing.refusals`."""
        if self.concurrency(self.question.max_model_len) >= 1:
            return []
        longest = self._max_context_tokens()
        rule = f"one request of {self.question.max_model_len:,} tokens does not fit"
        remedy = f"--max-model-len {longest}" if longest else "more memory for the cache"
        return [Refusal(rule, remedy)]

    def _kv_bytes(self, tokens: int) -> int:
        blocks = ceil_div(tokens, BLOCK_TOKENS)
        return sum(layers * blocks * BLOCK_TOKENS * size for layers, size in self.kv_layer_bytes)

    def _max_context_tokens(self) -> int | None:
        block = self._kv_bytes(BLOCK_TOKENS)
        if not block:
            return None
        left = self.question.available_bytes - self.layers * self.cell_bytes
        return max(0, left // block * BLOCK_TOKENS)
