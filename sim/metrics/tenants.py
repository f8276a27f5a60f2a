"""What each tenant got, and how evenly they were served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.event_log import EventKind, EventLog
from sim.metric import Metric, Slo
from sim.metrics.outcomes import rejections_by_reason
from sim.timeline import NS_PER_S, distribution_of, timeline_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sim.timeline import Timeline


class Tenants(Metric):
    """Figures of each tenant, and Jain's index over their service.

    Shares are of the prompt and output tokens served while all tenants compete: from the first
    arrival to the first moment at which one of them has nothing left to come or to be served.
    After it, sharing is no longer a question. A prompt counts when its first token is there, the
    output evenly between that and its completion; requests that never complete count nothing.

    Jain's index (Jain, Chiu and Hawe, 1984) of what each was served for its weight is
    (sum x)^2 / (n sum x^2): 1 if all had the same, 1/n if one had everything. Tenants that want
    different amounts, and get them, are not equal either.
    """

    name = "tenants"

    def measure(self, log: EventLog, slo: Slo) -> dict[str, Any]:
        """See `Metric.measure`; no tenants, and no index, where the trace names none."""
        tenants = log.header.tenants
        if not tenants:
            return {"tenants": [], "jain_index": None}
        book = _book_of(log)
        served = book.served_by(book.end_of_competition_ns())
        share = served / served.sum() if served.sum() else np.zeros(len(tenants))
        figures = [book.figures(number, slo) for number in range(len(tenants))]
        for number, tenant in enumerate(tenants):
            about = {"tenant": tenant.name, "weight": tenant.weight}
            figures[number] = {**about, **figures[number], "share_pct": 100 * float(share[number])}
        weights = np.array([tenant.weight for tenant in tenants])
        return {"tenants": figures, "jain_index": jain_index(served / weights)}


def jain_index(amounts: NDArray[np.float64]) -> float | None:
    """Jain's fairness index of some amounts; None for fewer than two, or if all are 0."""
    squares = float((amounts**2).sum())
    if len(amounts) < 2 or not squares:  # noqa: PLR2004 - one alone is neither fair nor unfair
        return None
    return min(1.0, float(amounts.sum()) ** 2 / (len(amounts) * squares))  # but for rounding


@dataclass(frozen=True, slots=True)
class _Book:
    """The rows of a log that its tenants ask for.

    Attributes:
        num_tenants: How many there are.
        tenant_of: Tenant of each request, int64, shape (requests,).
        prompt_tokens: Prompt of each request, same shape.
        timeline: Requests that completed.
        seconds: From the first arrival to the end.
        rejections: Rows.
        preempted: Requests that lost their pages, one entry each time.
        made_way: Rows.
    """

    num_tenants: int
    tenant_of: NDArray[np.int64]
    prompt_tokens: NDArray[np.int64]
    timeline: Timeline
    seconds: float
    rejections: NDArray[np.int64]
    preempted: NDArray[np.int64]
    made_way: NDArray[np.int64]

    def end_of_competition_ns(self) -> int:
        """When the first tenant has nothing left to come or to be served."""
        last_ns = np.zeros(self.num_tenants, dtype=np.int64)
        np.maximum.at(last_ns, self.tenant_of[self.timeline.request], self.timeline.completion_ns)
        np.maximum.at(last_ns, self.tenant_of[self.rejections[:, 2]], self.rejections[:, 0])
        return int(last_ns.min())

    def served_by(self, time_ns: int) -> NDArray[np.float64]:
        """Tokens served to each tenant by a time, float64, shape (tenants,)."""
        timeline = self.timeline
        has_begun = timeline.first_token_ns <= time_ns
        whole_ns = np.maximum(1, timeline.completion_ns - timeline.first_token_ns)
        done = np.clip((time_ns - timeline.first_token_ns) / whole_ns, 0, 1)
        tokens = self.prompt_tokens[timeline.request] + 1 + (timeline.output_tokens - 1) * done
        owners = self.tenant_of[timeline.request]
        return np.bincount(owners, np.where(has_begun, tokens, 0.0), self.num_tenants).astype(float)

    def figures(self, number: int, slo: Slo) -> dict[str, Any]:
        """Counts, rates and latencies of a tenant."""
        timeline = self.timeline.where(self.tenant_of[self.timeline.request] == number)
        rejections = self.rejections[self.tenant_of[self.rejections[:, 2]] == number]
        made_way = self.made_way[self.tenant_of[self.made_way[:, 2]] == number]
        output_tokens = int(timeline.output_tokens.sum())
        prompt_tokens = int(self.prompt_tokens[timeline.request].sum())
        return {
            "requests": int((self.tenant_of == number).sum()),
            "completed": len(timeline.request),
            "rejected": len(rejections),
            "rejections": rejections_by_reason(rejections),
            "served_tokens": prompt_tokens + output_tokens,
            "throughput_rps": self._rate(len(timeline.request)),
            "throughput_tokens_per_s": self._rate(output_tokens),
            "goodput_rps": self._rate(int(timeline.is_within(slo).sum())),
            "ttft_s": distribution_of(timeline.ttft_s()),
            "tpot_s": distribution_of(timeline.tpot_s()),
            "e2e_s": distribution_of(timeline.e2e_s()),
            "preemptions": int((self.tenant_of[self.preempted] == number).sum()),
            "preemptions_for_others": int((self.tenant_of[made_way[:, 3]] != number).sum()),
        }

    def _rate(self, count: int) -> float | None:
        return count / self.seconds if self.seconds else None


def _book_of(log: EventLog) -> _Book:
    arrivals = log.of(EventKind.ARRIVAL)
    columns = np.zeros((2, log.header.num_requests), dtype=np.int64)
    columns[:, arrivals[:, 2]] = arrivals[:, 3], arrivals[:, 5]
    return _Book(
        num_tenants=len(log.header.tenants),
        prompt_tokens=columns[0],
        tenant_of=columns[1],
        timeline=timeline_of(log),
        seconds=float(log.of(EventKind.END)[0, 0] - arrivals[0, 0]) / NS_PER_S,
        rejections=log.of(EventKind.REJECTION),
        preempted=log.of(EventKind.PREEMPTION)[:, 2],
        made_way=log.of(EventKind.MADE_WAY),
    )
