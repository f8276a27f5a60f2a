from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from scipy.stats import sem

from sim.event_log import NO_SUBJECT, EventKind, EventLog, LogHeader, PoolHeader, RejectionReason
from sim.metric import Slo, known_metrics, measure

if TYPE_CHECKING:
    from collections.abc import Callable

S = 10**9
SLO = Slo(ttft_s=2.0, tpot_s=0.5)


@pytest.fixture
def log() -> EventLog:
    """Three requests: one clean, one preempted and slow, one refused; two samples."""
    pools = (PoolHeader("kv", 10), PoolHeader("state", 50))
    log = EventLog(LogHeader(3, budget_bytes=1000, sample_interval_ns=S, pools=pools))
    rows: list[tuple[int, EventKind, int, tuple[int, ...]]] = [
        (1 * S, EventKind.ARRIVAL, 0, (100, 5)),
        (1 * S, EventKind.ADMISSION, 0, (100, 0)),
        (2 * S, EventKind.ARRIVAL, 1, (200, 3)),
        (2 * S, EventKind.ADMISSION, 1, (200, 0)),
        (2 * S, EventKind.FIRST_TOKEN, 0, ()),
        (3 * S, EventKind.ARRIVAL, 2, (9999, 3)),
        (3 * S, EventKind.REJECTION, 2, (RejectionReason.TOO_LONG, 10_001, 500)),
        (3 * S, EventKind.OOM, 1, (0, 7, 2)),
        (3 * S, EventKind.PREEMPTION, 1, (150, 0)),
        (3 * S, EventKind.MIGRATION, NO_SUBJECT, (1, 0, 400)),
        (3 * S, EventKind.MIGRATION_BLOCKED, NO_SUBJECT, (0, 0)),
        (3 * S, EventKind.WASTE_SAMPLE, NO_SUBJECT, (100, 20, 0)),
        (4 * S, EventKind.COMPLETION, 0, (5, 0, 0)),
        (4 * S, EventKind.WASTE_SAMPLE, NO_SUBJECT, (300, 40, 10)),
        (6 * S, EventKind.FIRST_TOKEN, 1, ()),
        (11 * S, EventKind.COMPLETION, 1, (3, 1, 1)),
        (11 * S, EventKind.END, NO_SUBJECT, (900, 980)),
    ]
    for time_ns, kind, subject, values in rows:
        log.append(time_ns, kind, subject, *values)
    return log


def test_outcomes_count_each_end(log: EventLog) -> None:
    figures = measure(log, SLO)
    assert figures["completed"] == 2
    assert figures["rejected"] == 1
    assert figures["clean_completions"] == 1
    assert figures["preemptions"] == 1
    assert figures["oom_events"] == 1
    assert figures["recomputed_tokens"] == 150
    counts = {reason.name.lower(): 0 for reason in RejectionReason}
    assert figures["rejections"] == counts | {"too_long": 1}


def test_rates_run_from_the_first_arrival_to_the_end(log: EventLog) -> None:
    figures = measure(log, SLO)
    assert figures["simulated_seconds"] == 10
    assert figures["throughput_rps"] == pytest.approx(0.2)
    assert figures["throughput_tokens_per_s"] == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("slo", "served_well"),
    [
        (Slo(2, 0.5), 1),  # the second has its first token after 4 s
        (Slo(4, 2.5), 2),
        (Slo(4, 2.4), 1),  # and then needs 2.5 s a token
        (Slo(0.9, 9), 0),
    ],
)
def test_goodput_counts_what_is_within_both_limits(
    log: EventLog, slo: Slo, served_well: int
) -> None:
    assert measure(log, slo)["goodput_rps"] == pytest.approx(served_well / 10)


def test_latencies_are_distributions_over_the_completed(log: EventLog) -> None:
    figures = measure(log, SLO)
    assert figures["ttft_s"]["mean"] == pytest.approx(2.5)
    assert figures["ttft_s"]["p50"] == pytest.approx(2.5)
    assert figures["tpot_s"]["p99"] == pytest.approx(0.5 + 0.99 * 2.0)
    assert figures["e2e_s"]["p90"] == pytest.approx(3 + 0.9 * 6)


def test_memory_is_peak_footprint_and_mean_waste(log: EventLog) -> None:
    figures = measure(log, SLO)
    assert (figures["peak_bytes"], figures["footprint_bytes"]) == (900, 980)
    assert figures["budget_bytes"] == 1000
    waste = {"internal_pct": 20.0, "external_pct": 3.0, "stranded_pct": 0.5}
    assert figures["waste"] == pytest.approx(waste)


def test_migrations_are_counted_with_their_bytes(log: EventLog) -> None:
    assert measure(log, SLO)["migrations"] == {"count": 1, "bytes": 400, "blocked": 1}


def test_a_log_without_completions_has_no_latencies() -> None:
    log = EventLog(LogHeader(1, 1000, S, ()))
    log.append(0, EventKind.ARRIVAL, 0, 5, 5)
    log.append(0, EventKind.REJECTION, 0, 0, 9, 5)
    log.append(0, EventKind.END, NO_SUBJECT, 0, 0)
    figures = measure(log, SLO)
    assert figures["ttft_s"] == dict.fromkeys(("mean", "p50", "p90", "p99"))
    assert figures["throughput_rps"] is None
    assert figures["waste"]["internal_pct"] is None


def _queue(waiting: Callable[[int], int], admitted: Callable[[int], bool] = bool) -> str:
    """The label of 4,000 arrivals in 1,000 s, with the queue sampled each second."""
    log = EventLog(LogHeader(4000, 1000, S, ()))
    for second in range(1000):
        for part in range(4):
            request = 4 * second + part
            log.append(second * S + part, EventKind.ARRIVAL, request, 1, 1)
            if admitted(request):
                log.append(second * S + part, EventKind.ADMISSION, request, 1)
        log.append(second * S + 5, EventKind.QUEUE_SAMPLE, NO_SUBJECT, 1, waiting(second))
    log.append(1000 * S, EventKind.END, NO_SUBJECT, 0, 0)
    return str(measure(log, SLO)["stability"])


def test_stability_is_said_by_the_trend_of_the_queue() -> None:
    # One request in 80 is 1.25 % of all, one in 120 is 0.83 %; both grow surely.
    assert _queue(lambda _: 1, lambda request: request % 80 > 0) == "overloaded"
    assert _queue(lambda _: 1, lambda request: request % 120 > 0) == "backlogged"
    assert _queue(lambda second: 50 * (second % 3 > 0)) == "backlogged"
    assert _queue(lambda second: 50 * (second % 3 == 0)) == "stable"
    assert _queue(lambda _: 0) == "stable"


def test_growth_is_a_share_of_what_arrived_and_lies_standard_errors_lower() -> None:
    """An arrival a second; of each sixteenth of the run some never leave the queue, as said."""
    stuck = [0, 1, 0, 2, 1, 3, 0, 1, 2, 2, 0, 1, 3, 1, 0, 2]
    log = EventLog(LogHeader(16 * 8 + 1, 1000, S, ()))
    for second in range(16 * 8 + 1):
        log.append(second * S, EventKind.ARRIVAL, second, 3, 4)
        piece, place = divmod(second - 1, 8)
        if second == 0 or place >= stuck[piece]:
            log.append(second * S, EventKind.ADMISSION, second, 3)
    log.append(16 * 8 * S, EventKind.END, NO_SUBJECT, 0, 0)
    # The last half says something too: its pieces of 4 s hold 64 arrivals, just enough.
    halves = [min(4, count) if part == 0 else 0 for count in stuck[8:] for part in range(2)]
    shares = [
        (sum(pieces), sem(pieces) * 16, size) for pieces, size in ((stuck, 128), (halves, 64))
    ]
    low, unserved = max(((total - 2.5 * error) / n, total / n) for total, error, n in shares)
    growth = measure(log, SLO)["queue_growth"]
    assert growth["unserved_pct"] == pytest.approx(100 * unserved)
    assert growth["unserved_low_pct"] == pytest.approx(100 * low)


def test_a_run_too_short_to_say_is_stable() -> None:
    log = EventLog(LogHeader(2, 1000, S, ()))
    for i in range(2):
        log.append(i * S, EventKind.ARRIVAL, i, 1, 1)
    log.append(1 * S, EventKind.QUEUE_SAMPLE, NO_SUBJECT, 1, 100)
    log.append(2 * S, EventKind.END, NO_SUBJECT, 0, 0)
    assert measure(log, SLO)["stability"] == "stable"


def test_every_metric_of_the_folder_is_measured(log: EventLog) -> None:
    figures = measure(log, SLO)
    for metric in known_metrics().values():
        assert metric().measure(log, SLO).items() <= figures.items()
    assert len(known_metrics()) >= 6


def test_a_sample_stands_for_the_time_since_the_one_before() -> None:
    log = EventLog(LogHeader(1, 1000, S, ()))
    log.append(0, EventKind.ARRIVAL, 0, 1, 1)
    log.append(1 * S, EventKind.WASTE_SAMPLE, NO_SUBJECT, 100, 0, 0)
    log.append(4 * S, EventKind.WASTE_SAMPLE, NO_SUBJECT, 500, 0, 0)
    log.append(4 * S, EventKind.END, NO_SUBJECT, 0, 0)
    assert measure(log, SLO)["waste"]["internal_pct"] == pytest.approx((10 + 3 * 50) / 4)
