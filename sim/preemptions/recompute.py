"""Nothing of a victim is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.event_log import Loss
from sim.preemption import Preemption

if TYPE_CHECKING:
    from allocator.interface import CacheManager
    from sim.preemption import Means, Transfer
    from sim.request import Sequence
    from sim.step import StepPlan, StepPricer


@dataclass(frozen=True, slots=True)
class RecomputeOptions:
    """`recompute` has no options."""


class Recompute(Preemption):
    """A victim computes its prompt and the output it made again."""

    name = "recompute"
    summary = "a victim's tokens are computed again"
    source = "recomputation of PagedAttention (arXiv 2309.06180, section 4.5), vLLM V1's only way"
    Options = RecomputeOptions

    @classmethod
    def build(cls, options: RecomputeOptions, means: Means) -> Recompute:
        """See `Preemption.build`."""
        del options, means
        return cls()

    def priced(self, executor: StepPricer) -> StepPricer:
        """See `Preemption.priced`: chunks say all there is."""
        return executor

    def objection(self, manager: CacheManager) -> str:
        """See `Preemption.objection`: none."""
        del manager
        return ""

    def resume(self, sequence: Sequence) -> Transfer:
        """See `Preemption.resume`: nothing is ever kept."""
        raise KeyError(sequence.request_id)

    def drop(self, sequence: Sequence) -> None:
        """See `Preemption.drop`."""

    def charge(self, plan: StepPlan) -> None:
        """See `Preemption.charge`."""

    def check_integrity(self) -> None:
        """See `Preemption.check_integrity`."""

    def _keep(self, sequence: Sequence) -> tuple[Loss, Transfer | None]:
        del sequence
        return Loss.RECOMPUTED, None
