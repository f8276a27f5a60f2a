"""A victim's tokens wait in the host's memory, and come back when it has room again."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from allocator.integrity import check
from allocator.prefix.interface import PrefixSharing
from sim.costs.host_link import SwappingExecutor
from sim.event_log import Loss
from sim.preemption import Preemption, Transfer
from sim.step import Chunk, StepPlan

if TYPE_CHECKING:
    from allocator.interface import CacheManager
    from sim.preemption import Means
    from sim.request import Sequence
    from sim.step import StepPricer

GIB = 1 << 30


class Rule(Enum):
    """Whom to swap."""

    ALWAYS = "always"
    CHEAPER = "cheaper"


class Overlap(Enum):
    """Whether copies run beside the step."""

    ON = "on"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class SwapOptions:
    """Options of `swap`."""

    host_gib: float = field(
        default=0.0,
        metadata={"help": "host memory of a device for swapped sequences; 0: as its file says"},
    )
    choice: Rule = field(
        default=Rule.ALWAYS,
        metadata={"help": "always, or cheaper: only if both copies take less than computing again"},
    )
    overlap: Overlap = field(
        default=Overlap.OFF,
        metadata={"help": "off: copies come before the step; on: beside it, the longer counts"},
    )

    def __post_init__(self) -> None:
        if not 0 <= self.host_gib < float("inf"):
            raise ValueError(f"host_gib must be at least 0, not {self.host_gib}")


class SwapToHost(Preemption):
    """Keeps what is useful of a victim's pages: KV of the tokens it has computed, and its state.

    Room that a page has beyond that is not copied: nobody reads it. Where the host has no room
    left, and, by choice, where computing again costs less, the victim recomputes.
    """

    name = "swap"
    summary = "a victim's tokens go to host memory and come back; recomputes when that is full"
    source = "swapping of PagedAttention (arXiv 2309.06180, section 4.5), vLLM V0, public source"
    Options = SwapOptions

    def __init__(self, options: SwapOptions, means: Means) -> None:
        self._options = options
        self._spec = means.spec
        self._link = means.host.link
        self._executor = means.executor
        chosen_bytes = int(options.host_gib * GIB)
        self._budget_bytes = chosen_bytes if options.host_gib else means.host.size_bytes
        self._kept: dict[int, int] = {}  # bytes by request
        self._held_bytes = 0
        self._due = StepPlan()  # what no step has paid for yet
        self._beside: list[Sequence] = []  # who decoded in the last step

    @classmethod
    def build(cls, options: SwapOptions, means: Means) -> SwapToHost:
        """See `Preemption.build`."""
        return cls(options, means)

    @property
    def held_bytes(self) -> int:
        """Bytes of host memory in use."""
        return self._held_bytes

    def priced(self, executor: StepPricer) -> StepPricer:
        """See `Preemption.priced`."""
        overlaps = self._options.overlap is Overlap.ON
        return SwappingExecutor(executor, self._link, overlaps=overlaps)

    def objection(self, manager: CacheManager) -> str:
        """See `Preemption.objection`."""
        if isinstance(manager, PrefixSharing):
            return "pages that sequences share are not swapped: preempt by recompute"
        return ""

    def resume(self, sequence: Sequence) -> Transfer:
        """See `Preemption.resume`."""
        num_bytes = self._forget(sequence)
        self._due.swaps_in += 1
        self._due.swapped_in_bytes += num_bytes
        return self._transfer(num_bytes)

    def drop(self, sequence: Sequence) -> None:
        """See `Preemption.drop`."""
        if sequence.request_id in self._kept:
            self._forget(sequence)

    def charge(self, plan: StepPlan) -> None:
        """See `Preemption.charge`."""
        self._beside = plan.decodes
        due = self._due
        if due.swaps_out or due.swaps_in:
            plan.swaps_out, plan.swapped_out_bytes = due.swaps_out, due.swapped_out_bytes
            plan.swaps_in, plan.swapped_in_bytes = due.swaps_in, due.swapped_in_bytes
            self._due = StepPlan()

    def is_cheaper(self, sequence: Sequence) -> bool:
        """Whether copying a victim out and in again costs less than recomputing it.

        Copies are taken to hide behind nothing, whatever `overlap` says.
        """
        copies_ns = 2 * self._link.duration_ns(1, self._bytes_of(sequence.computed_tokens))
        return copies_ns < self.recompute_ns(sequence)

    def recompute_ns(self, sequence: Sequence) -> int:
        """What the step that resumes a victim costs more if it has lost its tokens.

        That step computes all it owes as one chunk, beside as many decodes as the last step had:
        weights and experts that those read anyway cost nothing.
        """
        total, kept = sequence.total_tokens, sequence.computed_tokens
        anew = StepPlan(self._beside, chunks=[Chunk(sequence, total, 0)])
        on = StepPlan(self._beside, chunks=[Chunk(sequence, total - kept, kept)])
        return self._executor.execute(anew) - self._executor.execute(on)

    def check_integrity(self) -> None:
        """See `Preemption.check_integrity`."""
        check(sum(self._kept.values()) == self._held_bytes, "host memory is miscounted")
        check(self._held_bytes <= self._budget_bytes, "host memory is overcommitted")

    def _keep(self, sequence: Sequence) -> tuple[Loss, Transfer | None]:
        if not sequence.computed_tokens:
            return Loss.RECOMPUTED, None
        if self._options.choice is Rule.CHEAPER and not self.is_cheaper(sequence):
            return Loss.CHEAPER, None
        num_bytes = self._bytes_of(sequence.computed_tokens)
        if self._held_bytes + num_bytes > self._budget_bytes:
            return Loss.HOST_FULL, None
        self._kept[sequence.request_id] = num_bytes
        self._held_bytes += num_bytes
        self._due.swaps_out += 1
        self._due.swapped_out_bytes += num_bytes
        return Loss.SWAPPED, self._transfer(num_bytes)

    def _bytes_of(self, tokens: int) -> int:
        return tokens * self._spec.bytes_per_token() + self._spec.bytes_per_sequence()

    def _forget(self, sequence: Sequence) -> int:
        num_bytes = self._kept.pop(sequence.request_id)
        self._held_bytes -= num_bytes
        return num_bytes

    def _transfer(self, num_bytes: int) -> Transfer:
        duration_ns = round(self._link.duration_ns(1, num_bytes))
        return Transfer(num_bytes, self._held_bytes, duration_ns)
