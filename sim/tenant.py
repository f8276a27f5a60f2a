"""What a scenario says of a tenant: its weight, its quotas and its rate."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

OTHERS = "*"
"""Name under which settings stand for every tenant that has none of its own."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """Settings of one tenant; by default it has weight 1 and no limits.

    Quotas limit admissions under every scheduler; rates and waiting limits only mean something to
    the admission controls that ask for them.
    """

    name: str = OTHERS
    weight: float = field(
        default=1.0, metadata={"help": "share of the service among tenants that want some"}
    )
    max_seqs: int = field(
        default=0, metadata={"help": "sequences that may run at once; 0 for no limit"}
    )
    memory_share: float = field(
        default=1.0,
        metadata={"help": "share of the budget that its sequences may need when one is admitted"},
    )
    rate: float = field(
        default=0.0, metadata={"help": "of token-bucket: refill a second; 0 for its default"}
    )
    burst: float = field(
        default=0.0, metadata={"help": "of token-bucket: most it holds; 0 for its default"}
    )
    max_waiting: int = field(
        default=0, metadata={"help": "of queue-limit: requests that may wait; 0 for its default"}
    )

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a tenant needs a name")
        if not 0 < self.weight < float("inf"):
            raise ValueError(f"weight must be above 0, not {self.weight}")
        if not 0 < self.memory_share <= 1:
            raise ValueError(f"memory_share must lie above 0 and up to 1, not {self.memory_share}")
        for name in ("max_seqs", "rate", "burst", "max_waiting"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be at least 0, not {getattr(self, name)}")

    @property
    def has_quota(self) -> bool:
        """Whether it may have to wait although there is room."""
        return self.max_seqs > 0 or self.memory_share < 1


def settings_of(name: str, tenants: Iterable[Tenant]) -> Tenant:
    """The settings of a tenant: its own, else those of all others, else the defaults."""
    by_name = {tenant.name: tenant for tenant in tenants}
    return replace(by_name.get(name) or by_name.get(OTHERS) or Tenant(), name=name or OTHERS)
