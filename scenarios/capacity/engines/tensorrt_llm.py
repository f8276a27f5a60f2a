"""TensorRT-LLM: states for the largest batch first, KV pages of what is left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scenarios.capacity.engine import Engine, Question, Refusal, Share, Sizing


@dataclass(frozen=True, slots=True)
class TensorRtLlmSettings:
    """Settings that decide about memory.

    Attributes:
        max_num_seqs: Largest batch (`max_batch_size`); a state is allocated for each.
        mamba_state_cache_interval: With block reuse, tokens between two snapshots of a state; 0
            without reuse.
    """

    max_num_seqs: int = 256
    mamba_state_cache_interval: int = 0


class TensorRtLlm(Engine):
    """A linear budget: the intercept is the live states, the slope KV and snapshots a token."""

    name = "tensorrt-llm"
    summary = "states for the largest batch, then KV, with snapshots of states a token if reused"
    source = (
        "TensorRT-LLM pull requests 10540, 14524 and 15178 (MambaHybridCacheManager), not the code"
    )
    Options = TensorRtLlmSettings

    @classmethod
    def size(cls, question: Question, options: TensorRtLlmSettings) -> TensorRtLlmSizing:
        """See `Engine.size`."""
        return TensorRtLlmSizing(question, options)


class TensorRtLlmSizing(Sizing):
    """tokens = (available - max batch x state) / (KV a token + state / interval)."""

    def __init__(self, question: Question, settings: TensorRtLlmSettings) -> None:
        self.question, self.settings = question, settings
        model, tp = question.model, question.tp
        self.state_bytes = model.state_bytes_per_sequence(question.state_dtype, tp)
        self.token_bytes = model.kv_bytes_per_token(question.kv_dtype, tp)
        self.live_bytes = settings.max_num_seqs * self.state_bytes
        every = settings.mamba_state_cache_interval
        self.slope_bytes = self.token_bytes + (self.state_bytes / every if every else 0)

    @property
    def kv_tokens(self) -> int:
        """Tokens that the budget holds beside the live states."""
        left = self.question.available_bytes - self.live_bytes
        return max(0, int(left / self.slope_bytes)) if self.slope_bytes else 0

    def figures(self) -> dict[str, Any]:
        """See `Sizing.figures`."""
        return {
            "live_state_bytes": self.live_bytes,
            "bytes_per_token": self.slope_bytes,
            "kv_tokens": self.kv_tokens,
            "max_num_seqs": self.settings.max_num_seqs,
            "max_concurrency": self.concurrency(self.question.max_model_len),
            "max_context_tokens": self.kv_tokens if self.token_bytes else None,
        }

    def concurrency(self, tokens: int) -> float:
        """See `Sizing.concurrency`."""
        most = float(self.settings.max_num_seqs)
        return min(most, self.kv_tokens / tokens) if self.slope_bytes else most

    def refusals(self) -> list[Refusal]:
        """See `Sizing.refusals`."""
        if self.live_bytes <= self.question.available_bytes:
            return []
        fits = self.question.available_bytes // self.state_bytes
        return [
            Refusal(
                f"{self.settings.max_num_seqs:,} states need {self.live_bytes:,} bytes",
                f"--max-num-seqs {fits}",
            )
        ]

    def ledger(self) -> list[Share]:
        """See `Sizing.ledger`."""
        available, tokens = self.question.available_bytes, self.question.max_model_len
        if self.refusals():
            return [Share("does not fit", available, "the live states alone need more")]
        running = int(self.concurrency(tokens))
        kv, state = running * tokens * self.token_bytes, running * self.state_bytes
        every = self.settings.mamba_state_cache_interval
        snapshots = running * (tokens // every) * self.state_bytes if every else 0
        idle = self.live_bytes - state
        left = available - kv - state - snapshots - idle
        return [
            Share("KV useful", kv, "tokens x bytes a token", useful=True),
            Share("state useful", state, "one state a sequence", useful=True),
            Share("idle states", idle, "states of the largest batch that nobody has"),
            Share("snapshots", snapshots, "states kept for reuse along each text"),
            Share("free KV", left, f"what {running} requests of {tokens:,} tokens leave"),
        ]
