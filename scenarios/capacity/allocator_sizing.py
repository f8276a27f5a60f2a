"""The project's own allocators, sized by filling them: sequences enter until one is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from allocator.backing import HostBacking
from allocator.interface import UNBOUNDED_TOKENS, OutOfMemoryError
from allocator.registry import known_managers
from scenarios.capacity.engine import Question, Refusal, Share, Sizing
from scenarios.choice import choose
from scenarios.errors import UserError
from scenarios.machine import MachineOptions, cache_spec_of

if TYPE_CHECKING:
    from allocator.interface import CacheManager, Usage

MOST_SEQUENCES = 100_000
"""Sequences that a sizing admits at most; a budget that holds more is not short."""


@dataclass(slots=True)
class AllocatorSizing(Sizing):
    """What really fits, by the allocator that a simulation would run.

    Attributes:
        question: What was asked.
        allocator: `NAME[:key=value,...]`.
    """

    question: Question
    allocator: str
    _usage: dict[int, tuple[int, Usage]] = field(default_factory=dict)

    def manager(self) -> CacheManager:
        """A fresh manager of the budget.

        Raises:
            UserError: An unknown allocator or option, or a budget it cannot be laid out in.
        """
        question = self.question
        choice = choose("allocator", self.allocator, known_managers())
        options = MachineOptions(question.tp, question.kv_dtype, question.state_dtype)
        backing = HostBacking(question.available_bytes, question.granule_bytes)
        try:
            return choice.design.build(
                cache_spec_of(question.model, options), backing, choice.options
            )
        except ValueError as error:
            raise UserError(f"{self.allocator}: {error}") from None

    def concurrency(self, tokens: int) -> float:
        """See `Sizing.concurrency`: whole sequences; the last token made needs no room."""
        return float(self._filled(tokens)[0])

    def figures(self) -> dict[str, Any]:
        """See `Sizing.figures`."""
        count, usage = self._filled(self.question.max_model_len)
        longest = self.manager().max_sequence_tokens
        return {
            "max_concurrency": float(count),
            "kv_cache_tokens": count * self.question.max_model_len,
            "max_context_tokens": None if longest >= UNBOUNDED_TOKENS else longest + (longest > 0),
            "internal_waste_bytes": usage.internal_waste_bytes,
            "footprint_bytes": usage.footprint_bytes,
        }

    def refusals(self) -> list[Refusal]:
        """See `Sizing.refusals`."""
        longest = self.manager().max_sequence_tokens + 1
        if longest >= self.question.max_model_len:
            return []
        rule = f"one request of {self.question.max_model_len:,} tokens does not fit"
        remedy = f"--max-model-len {longest}" if longest > 1 else "more memory for the cache"
        return [Refusal(rule, remedy)]

    def ledger(self) -> list[Share]:
        """See `Sizing.ledger`; what lies beyond whole granules of the budget is rounding."""
        count, usage = self._filled(self.question.max_model_len)
        useful = usage.needed_bytes
        free = sum(pool.free_bytes for pool in usage.pools) + usage.reserve_bytes
        held = usage.granted_bytes + free
        rest = self.question.available_bytes - held
        whole = f"{count} requests of {self.question.max_model_len:,} tokens"
        return [
            Share("useful", useful, "tokens and states of all sequences", useful=True),
            Share("inside pages", usage.internal_waste_bytes, "granted, but needed by nobody"),
            Share("free", free, f"free pages and unmapped memory that {whole} leave"),
            Share("rounding", rest, "part of no page"),
        ]

    def _filled(self, tokens: int) -> tuple[int, Usage]:
        """Sequences of a length that entered until one was refused, and the usage then."""
        if tokens not in self._usage:
            manager = self.manager()
            room = max(1, tokens - 1)
            count = 0
            try:
                while count < MOST_SEQUENCES:
                    manager.admit(count, room)
                    count += 1
            except OutOfMemoryError:
                pass
            self._usage[tokens] = count, manager.usage()
        return self._usage[tokens]
