"""The paper's allocators by its own names."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Variant:
    """One column of the paper's tables.

    Attributes:
        label: The paper's name.
        state_ratio: Share of the budget for the state pool; None is one pool of padded pages.
        is_avmp: Whether both pools lie in memory for the whole budget each, as AVMP's do.
        batch_pages: Donor pages that a migration moves; 0 never moves any.
        donor_above: Stated free share that a donor must exceed (threshold_high).
        recipient_below: Stated free share that a recipient must lie below (threshold_low); the
            default is ours, as what was published does not say it.
        divisor: The budget is a pool's size divided by this.
    """

    label: str
    state_ratio: float | None = None
    is_avmp: bool = False
    batch_pages: int = 0
    donor_above: float = 0.30
    recipient_below: float = 0.05
    divisor: int = 1

    @property
    def is_padded(self) -> bool:
        """Whether both kinds of pages come from one pool."""
        return self.state_ratio is None


PADDED = Variant("padded_unified")
MR05 = Variant("fixed_dual_mr05", 0.5)
MR09 = Variant("fixed_dual_mr09", 0.9)
AVMP_STATIC = Variant("avmp_static_mr05", 0.5, is_avmp=True)


def avmp_dynamic(batch_pages: int) -> Variant:
    """AVMP with migrations of so many donor pages."""
    return Variant(f"avmp_dynamic_b{batch_pages}", 0.5, is_avmp=True, batch_pages=batch_pages)


def avmp_thresholds(high: float, low: float) -> Variant:
    """AVMP with other stated thresholds."""
    label = f"avmp_dynamic_b128_th{high:.2f}_tl{low:.2f}"
    return Variant(label, 0.5, is_avmp=True, batch_pages=128, donor_above=high, recipient_below=low)


def fixed_dual(state_ratio: float) -> Variant:
    """A static split."""
    return Variant(f"fixed_dual_{state_ratio:g}", state_ratio)


DYNAMIC = avmp_dynamic(128)
DYNAMIC_HALF = replace(DYNAMIC, label="avmp_dynamic_b128_half", divisor=2)
"""So large that its two tensors together occupy what the one budget of its rivals does."""

MR05_HALF = replace(MR05, label="fixed_dual_mr05_half", divisor=2)
"""The static split with half the budget, for comparison: how much the count depends on memory."""

HEADLINE = (PADDED, MR05, MR09, AVMP_STATIC, DYNAMIC)
