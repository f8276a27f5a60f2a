"""A policy put together from its parts: what moves, then what holds it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.rebalance.on_failure import OnFailure
from allocator.rebalance.predictive import Predictive
from allocator.rebalance.restraints import Hysteresis

if TYPE_CHECKING:
    from allocator.rebalance.policy import RebalancePolicy
    from allocator.spec import CacheSpec


def composed_policy(
    spec: CacheSpec, batch_units: int, hysteresis: int, *, predicts: bool
) -> RebalancePolicy:
    """A batch or what is predicted, behind so many operations of hysteresis."""
    policy: RebalancePolicy = Predictive(spec) if predicts else OnFailure(batch_units)
    return Hysteresis(policy, hysteresis) if hysteresis else policy
