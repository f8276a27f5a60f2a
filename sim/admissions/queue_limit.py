"""Requests are turned away where too many wait already."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sim.admission import AdmissionControl
from sim.event_log import RejectionReason

if TYPE_CHECKING:
    from sim.request import Sequence


@dataclass(frozen=True, slots=True)
class QueueLimitOptions:
    """Options of `queue-limit`."""

    max_waiting: int = field(
        default=1024, metadata={"help": "requests that may wait in all; 0 for no limit"}
    )
    per_tenant: int = field(
        default=0,
        metadata={"help": "requests of a tenant that may wait, unless its settings say; 0: any"},
    )

    def __post_init__(self) -> None:
        if self.max_waiting < 0 or self.per_tenant < 0:
            raise ValueError("max_waiting and per_tenant must be at least 0, no limit")


class QueueLimit(AdmissionControl):
    """Who arrives is refused if as many wait already as may, in all or of its tenant.

    Whoever lost its pages waits too, and counts, but is never refused for it.
    """

    name = "queue-limit"
    summary = "refuses who arrives while as many wait as may, in all or of its tenant"
    source = "bounded queues, as in M/M/1/K; what engines do that answer 429 or 503"
    Options = QueueLimitOptions

    def __init__(self, options: QueueLimitOptions) -> None:
        self._options = options

    def refusal(self, sequence: Sequence, now_ns: int, num_waiting: int) -> RejectionReason | None:
        """See `AdmissionControl.refusal`."""
        del now_ns
        account = sequence.account
        most, own_most = self._options.max_waiting, account.tenant.max_waiting
        own_most = own_most or self._options.per_tenant
        if (most and num_waiting > most) or (own_most and account.waiting > own_most):
            return RejectionReason.QUEUE_FULL
        return None
