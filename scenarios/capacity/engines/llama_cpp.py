"""llama.cpp: a KV cache of a fixed context and one recurrent cell a sequence, both preallocated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scenarios.capacity.engine import Engine, Question, Refusal, Share, Sizing

STATE_ELEMENT_BYTES = 4
"""Both R, the last inputs of the convolution, and S, the recurrent state, are kept in fp32."""


@dataclass(frozen=True, slots=True)
class LlamaCppSettings:
    """Settings that decide about memory.

    Attributes:
        max_num_seqs: Parallel sequences (`-np`): cells of the recurrent cache.
    """

    max_num_seqs: int = 1


class LlamaCpp(Engine):
    """Nothing grows and nothing is paged: what a context needs is allocated when it is made."""

    name = "llama.cpp"
    summary = "a KV cache of a fixed context and one recurrent cell a sequence, preallocated"
    source = "llama.cpp, llama_memory_hybrid (file read)"
    Options = LlamaCppSettings

    @classmethod
    def size(cls, question: Question, options: LlamaCppSettings) -> LlamaCppSizing:
        """See `Engine.size`."""
        return LlamaCppSizing(question, max(1, options.max_num_seqs))


class LlamaCppSizing(Sizing):
    """R and S by cell and layer; KV by cell of the context, which all sequences share."""

    def __init__(self, question: Question, cells: int) -> None:
        self.question, self.cells = question, cells
        model, tp = question.model, question.tp
        layers, state = model.state_layers, model.state
        element = STATE_ELEMENT_BYTES * layers
        self.conv_bytes_a_cell = state.conv_elements(tp) * element if state else 0
        self.state_bytes_a_cell = state.recurrent_elements(tp) * element if state else 0
        self.token_bytes = model.kv_bytes_per_token(question.kv_dtype, tp)

    @property
    def cell_bytes(self) -> int:
        """Bytes of one sequence's state over all layers."""
        return self.conv_bytes_a_cell + self.state_bytes_a_cell

    def figures(self) -> dict[str, Any]:
        """See `Sizing.figures`."""
        return {
            "conv_bytes": self.cells * self.conv_bytes_a_cell,
            "state_bytes": self.cells * self.state_bytes_a_cell,
            "kv_bytes": self.question.max_model_len * self.token_bytes,
            "max_num_seqs": self.cells,
            "max_concurrency": self.concurrency(self.question.max_model_len),
            "max_context_tokens": self._max_context_tokens(),
        }

    def concurrency(self, tokens: int) -> float:
        """See `Sizing.concurrency`: with the context enlarged to what the memory allows."""
        each = self.cell_bytes + tokens * self.token_bytes
        return self.question.available_bytes / each

    def refusals(self) -> list[Refusal]:
        """See `Sizing.refusals`."""
        kv_bytes = self.question.max_model_len * self.token_bytes
        needed = kv_bytes + self.cells * self.cell_bytes
        if needed <= self.question.available_bytes:
            return []
        longest = self._max_context_tokens()
        rule = f"context and cells need {needed:,} bytes"
        remedy = f"--max-model-len {longest}" if longest else "fewer sequences, or more memory"
        return [Refusal(rule, remedy)]

    def ledger(self) -> list[Share]:
        """See `Sizing.ledger`; the context is one request's, whatever the number of cells."""
        available, tokens = self.question.available_bytes, self.question.max_model_len
        if self.refusals():
            return [Share("does not fit", available, "context and cells need more")]
        kv, cells = tokens * self.token_bytes, self.cells * self.cell_bytes
        return [
            Share("KV useful", kv, f"{tokens:,} cells x bytes a token", useful=True),
            Share("state useful", cells, f"{self.cells} cells in fp32", useful=True),
            Share("unused", available - kv - cells, "nothing more is allocated"),
        ]

    def _max_context_tokens(self) -> int | None:
        if not self.token_bytes:
            return None
        left = self.question.available_bytes - self.cells * self.cell_bytes
        return max(0, left // self.token_bytes)
