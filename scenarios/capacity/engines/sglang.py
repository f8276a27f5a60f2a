"""SGLang: a fixed share of the memory for state slots, the rest for KV tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scenarios.capacity.engine import Engine, Question, Refusal, Share, Sizing
from scenarios.errors import UnknownNameError
from scenarios.model import AUTO

LEAST_ESTIMATE, MOST_ESTIMATE = 2048, 4096
SLOTS_A_REQUEST = {"off": 1, "no_buffer": 3, "extra_buffer": 5, "extra_buffer_lazy": 4}
"""State slots that a running request reserves (S), by how the radix cache keeps states."""


@dataclass(frozen=True, slots=True)
class SglangSettings:
    """Settings that decide about memory, by SGLang's names.

    Attributes:
        mamba_full_memory_ratio: Bytes for states over bytes for KV (r).
        max_mamba_cache_size: State slots, instead of those that the ratio gives; 0 for those.
        max_running_requests: Requests that may run at once; 0 for SGLang's own estimate.
        num_speculative_tokens: Tokens drafted a step (D).
        radix_cache: `off`, or how it keeps states: `no_buffer`, `extra_buffer` (with overlap) or
            `extra_buffer_lazy` (also extra_buffer without overlap).
        page_size: Tokens of a KV page.
        unified_memory: Whether states and KV share one buffer (`--enable-unified-memory`).
    """

    mamba_full_memory_ratio: float = 0.9
    max_mamba_cache_size: int = 0
    max_running_requests: int = 0
    num_speculative_tokens: int = 0
    radix_cache: str = "extra_buffer"
    page_size: int = 1
    unified_memory: bool = False

    def __post_init__(self) -> None:
        if self.radix_cache not in SLOTS_A_REQUEST:
            raise UnknownNameError("radix cache", self.radix_cache, SLOTS_A_REQUEST)


class Sglang(Engine):
    """Two static pools; a slot holds one sequence's state over all layers."""

    name = "sglang"
    summary = "a fixed share for state slots, several a running request, the rest for KV tokens"
    source = "SGLang 0.5.23 as published (hybrid memory pools, source read)"
    Options = SglangSettings

    @classmethod
    def size(cls, question: Question, options: SglangSettings) -> SglangSizing:
        """See `Engine.size`."""
        if options.unified_memory:
            return UnifiedSizing(question, options)
        return SglangSizing(question, options)


class SglangSizing(Sizing):
    """K slots of the state share and one more; KV tokens of what then is left."""

    def __init__(self, question: Question, settings: SglangSettings) -> None:
        self.question, self.settings = question, settings
        model, tp = question.model, question.tp
        state_dtype = "fp32" if question.state_dtype == AUTO else question.state_dtype
        self.conv_bytes = model.conv_bytes_per_layer(tp) * model.state_layers
        recurrent = model.recurrent_bytes_per_layer(state_dtype, tp)
        self.recurrent_bytes = recurrent * model.state_layers
        self.slot_bytes = self.conv_bytes + self.recurrent_bytes
        self.token_bytes = model.kv_bytes_per_token(question.kv_dtype, tp)
        self.slots_a_request = SLOTS_A_REQUEST[settings.radix_cache]
        self.num_slots = self._num_slots() if self.slot_bytes else 0
        self.kv_tokens = self._kv_tokens()

    @property
    def state_pool_bytes(self) -> int:
        """Bytes of the slots: one is allocated beyond those that requests can have."""
        return (self.num_slots + 1) * self.slot_bytes if self.num_slots else 0

    @property
    def intermediate_states(self) -> int:
        """States kept for drafted tokens: D for each running request and one more."""
        drafts = self.settings.num_speculative_tokens
        if not drafts or not self.slot_bytes:
            return 0
        return (self._slot_bound(self.settings.max_running_requests) + 1) * drafts

    def max_running_requests(self) -> int:
        """min(as set or estimated, tokens / 2, K // S)."""
        bound = self.settings.max_running_requests or self._estimate()
        if self.token_bytes:
            bound = min(bound, self.kv_tokens // 2)
        return self._slot_bound(bound) if self.slot_bytes else bound

    def concurrency(self, tokens: int) -> float:
        """See `Sizing.concurrency`: what slots and tokens both allow."""
        most = float(self.max_running_requests())
        return min(most, self.kv_tokens / tokens) if self.token_bytes else most

    def figures(self) -> dict[str, Any]:
        """See `Sizing.figures`; printed sizes count every slot that is allocated."""
        slots = self.num_slots + 1 if self.state_pool_bytes else 0
        return {
            "state_slot_bytes": self.slot_bytes,
            "max_mamba_cache_size": self.num_slots,
            "conv_bytes": slots * self.conv_bytes,
            "ssm_bytes": slots * self.recurrent_bytes,
            "intermediate_ssm_bytes": self.intermediate_states * self.recurrent_bytes,
            "kv_tokens": self.kv_tokens,
            "max_running_requests": self.max_running_requests(),
            "slots_per_request": self.slots_a_request,
            "max_concurrency": self.concurrency(self.question.max_model_len),
            "max_context_tokens": self.kv_tokens if self.token_bytes else None,
            "balanced_ratio": self.balanced_ratio(self.question.max_model_len),
        }

    def balanced_ratio(self, tokens: int) -> float | None:
        """The ratio at which slots and KV run out together for requests of so many tokens.

        r* = S x (slot bytes / KV bytes a token) / L (SGLang issue 32763).
        """
        if not self.slot_bytes or not self.token_bytes:
            return None
        return self.slots_a_request * self.slot_bytes / self.token_bytes / tokens

    def refusals(self) -> list[Refusal]:
        """See `Sizing.refusals`."""
        if self.slot_bytes and self.num_slots < self.slots_a_request:
            needed = self.slots_a_request
            rule = f"{self.num_slots} state slots, and a running request reserves {needed}"
            return [Refusal(rule, "a larger --mamba-full-memory-ratio, or more memory")]
        if self.token_bytes and self.kv_tokens <= 0:
            rule = "the state slots leave no memory for KV"
            return [Refusal(rule, "a smaller --mamba-full-memory-ratio or --max-mamba-cache-size")]
        return []

    def notes(self) -> list[str]:
        """See `Sizing.notes`."""
        ratio = self.balanced_ratio(self.question.max_model_len)
        if ratio is None:
            return []
        return [
            (
                f"For requests of {self.question.max_model_len:,} tokens slots and KV run out"
                f" together at --mamba-full-memory-ratio {ratio:.3g}."
            )
        ]

    def ledger(self) -> list[Share]:
        """See `Sizing.ledger`."""
        tokens, available = self.question.max_model_len, self.question.available_bytes
        if self.state_pool_bytes + self.intermediate_states * self.slot_bytes > available:
            return [Share("does not fit", available, "the state slots alone need more")]
        running = int(self.concurrency(tokens))
        reserved = running * self.slots_a_request if self.slot_bytes else 0
        slot, kv = self.slot_bytes, running * tokens * self.token_bytes
        state = running * slot
        intermediate = self.intermediate_states * slot
        idle = (self.num_slots - reserved) * slot
        spare = self.state_pool_bytes - reserved * slot - idle
        free = self.kv_tokens * self.token_bytes - kv
        used = kv + self.state_pool_bytes + intermediate + free
        each = self.slots_a_request
        return [
            Share("KV useful", kv, "tokens x bytes a token", useful=True),
            Share("state useful", state, "one state a sequence", useful=True),
            Share("state reserve", reserved * slot - state, f"{each} slots a running request"),
            Share("draft states", intermediate, "states of drafted tokens"),
            Share("idle slots", idle, "slots that no running request can have"),
            Share("spare slot", spare, "allocated beyond the pool's size"),
            Share("free KV", free, f"what {running} requests of {tokens:,} tokens leave"),
            Share("rounding", available - used, "less than a page of KV"),
        ]

    def _num_slots(self) -> int:
        """K, by the ratio unless it is given."""
        settings = self.settings
        if settings.max_mamba_cache_size:
            return settings.max_mamba_cache_size
        if settings.radix_cache == "off" and settings.max_running_requests:
            return settings.max_running_requests
        ratio, drafts = settings.mamba_full_memory_ratio, settings.num_speculative_tokens
        budget = self.question.available_bytes * ratio / (1 + ratio)
        first = self.slot_bytes * (1 + drafts)
        each = self.slot_bytes * (1 + drafts / self.slots_a_request)
        return max(0, int((budget - first) // each))

    def _slot_bound(self, requests: int) -> int:
        """So many requests, or as many as the slots allow if that is fewer; 0 means any number."""
        allowed = self.num_slots // self.slots_a_request
        return min(requests, allowed) if requests else allowed

    def _kv_tokens(self) -> int:
        if not self.token_bytes:
            return 0
        rest = self.question.available_bytes - self.state_pool_bytes
        rest -= self.intermediate_states * self.slot_bytes
        page = self.settings.page_size
        return max(0, rest // self.token_bytes // page * page)

    def _estimate(self) -> int:
        """SGLang's own bound: tokens / context x 512, from 2,048 to 4,096."""
        if not self.token_bytes:
            return LEAST_ESTIMATE
        estimate = self.kv_tokens * 512 // self.question.max_model_len
        return max(LEAST_ESTIMATE, min(estimate, MOST_ESTIMATE))


class UnifiedSizing(SglangSizing):
    """KV grows from one end of a buffer, states from the other: either can have all of it.

    K and the KV tokens are then what each could have were it alone (SGLang pull requests 29678 and
    35177); what runs at once must share them.
    """

    def concurrency(self, tokens: int) -> float:
        """See `Sizing.concurrency`: slots and tokens of a request together."""
        each = self.slots_a_request * self.slot_bytes + tokens * self.token_bytes
        shared = max(0, self.question.available_bytes - self._draft_bytes) / each
        return min(float(self.max_running_requests()), shared)

    def ledger(self) -> list[Share]:
        """See `Sizing.ledger`."""
        tokens, available = self.question.max_model_len, self.question.available_bytes
        running = int(self.concurrency(tokens))
        kv, state = running * tokens * self.token_bytes, running * self.slot_bytes
        reserve = state * (self.slots_a_request - 1)
        drafts = min(available, self._draft_bytes)
        return [
            Share("KV useful", kv, "tokens x bytes a token", useful=True),
            Share("state useful", state, "one state a sequence", useful=True),
            Share("state reserve", reserve, f"{self.slots_a_request} slots a running request"),
            Share("draft states", drafts, "states of drafted tokens"),
            Share("free", available - kv - state - reserve - drafts, "the gap between both ends"),
        ]

    def notes(self) -> list[str]:
        """See `Sizing.notes`."""
        return ["KV tokens and state slots are what each could have alone; they share one buffer."]

    @property
    def state_pool_bytes(self) -> int:
        """Nothing is set aside for states."""
        return 0

    @property
    def _draft_bytes(self) -> int:
        return self.intermediate_states * self.slot_bytes

    def _num_slots(self) -> int:
        """Slots of the whole buffer, or as many as are asked for."""
        return self.settings.max_mamba_cache_size or (
            self.question.available_bytes // self.slot_bytes
        )
