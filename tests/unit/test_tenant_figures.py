"""What a log says of its tenants, and how that is shown."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from scenarios.report.tenants import tenants_html
from scenarios.result import ReplayResult, RunResult
from scenarios.store import load_run, save_run
from scenarios.tenant_table import tenant_tables
from sim.event_log import (
    NO_SUBJECT,
    EventKind,
    EventLog,
    LogHeader,
    PoolHeader,
    RejectionReason,
    TenantHeader,
)
from sim.metric import Slo, measure
from sim.metrics.tenants import jain_index

S = 10**9
EVIL = "<b>&[bold]"


@pytest.fixture
def log() -> EventLog:
    """Two requests of a, three of b, of which one is turned away.

    Tenant b loses pages to a twice, and once to itself.
    """
    tenants = (TenantHeader("a", 1.0), TenantHeader(EVIL, 2.0))
    log = EventLog(LogHeader(5, 1000, S, (PoolHeader("kv", 10),), tenants=tenants))
    rows: list[tuple[int, EventKind, int, tuple[int, ...]]] = [
        (0, EventKind.ARRIVAL, 0, (100, 5, 0)),
        (0, EventKind.ARRIVAL, 1, (300, 11, 1)),
        (1 * S, EventKind.FIRST_TOKEN, 0, ()),
        (2 * S, EventKind.FIRST_TOKEN, 1, ()),
        (3 * S, EventKind.ARRIVAL, 2, (10, 3, 1)),
        (3 * S, EventKind.REJECTION, 2, (RejectionReason.QUEUE_FULL, 12, 99)),
        (3 * S, EventKind.PREEMPTION, 1, (305, 5)),
        (3 * S, EventKind.MADE_WAY, 1, (0,)),
        (4 * S, EventKind.PREEMPTION, 1, (305, 5)),
        (4 * S, EventKind.MADE_WAY, 1, (1,)),
        (4 * S, EventKind.PREEMPTION, 1, (305, 5)),
        (4 * S, EventKind.MADE_WAY, 1, (0,)),
        (5 * S, EventKind.COMPLETION, 0, (5, 0, 0)),
        (5 * S, EventKind.ARRIVAL, 3, (50, 1, 0)),
        (7 * S, EventKind.FIRST_TOKEN, 3, ()),
        (7 * S, EventKind.COMPLETION, 3, (1, 0, 0)),
        (8 * S, EventKind.ARRIVAL, 4, (20, 2, 1)),
        (9 * S, EventKind.FIRST_TOKEN, 4, ()),
        (10 * S, EventKind.COMPLETION, 4, (2, 0, 0)),
        (12 * S, EventKind.COMPLETION, 1, (11, 3, 1)),
        (20 * S, EventKind.END, NO_SUBJECT, (900, 980)),
    ]
    for time_ns, kind, subject, values in rows:
        log.append(time_ns, kind, subject, *values)
    return log


def test_each_tenant_has_its_own_figures(log: EventLog) -> None:
    first, second = measure(log, Slo(ttft_s=1.5, tpot_s=2.0))["tenants"]
    counts = ("requests", "completed", "rejected", "preemptions", "preemptions_for_others")
    assert [first[name] for name in counts] == [2, 2, 0, 0, 0]
    assert [second[name] for name in counts] == [3, 2, 1, 3, 2]
    assert (first["tenant"], second["weight"]) == ("a", 2.0)
    assert second["rejections"]["queue_full"] == 1
    assert (first["served_tokens"], second["served_tokens"]) == (156, 333)
    assert first["ttft_s"]["mean"] == pytest.approx(1.5)
    assert second["e2e_s"]["p50"] == pytest.approx(7.0)
    assert first["throughput_rps"] == pytest.approx(2 / 20)
    assert second["throughput_tokens_per_s"] == pytest.approx(13 / 20)
    assert first["goodput_rps"] == second["goodput_rps"] == pytest.approx(1 / 20)


def test_shares_are_of_what_was_served_while_both_had_something_to_do(log: EventLog) -> None:
    """Tenant a is done after 7 s; by then half of the ten later tokens of request 1 are made."""
    figures = measure(log, Slo())
    served = np.array([156.0, 300 + 1 + 10 * 5 / 10])
    shares = [tenant["share_pct"] for tenant in figures["tenants"]]
    assert shares == pytest.approx((100 * served / served.sum()).tolist())
    weighted = served / (1, 2)
    expected = weighted.sum() ** 2 / (2 * (weighted**2).sum())
    assert figures["jain_index"] == pytest.approx(expected)


def test_who_is_turned_away_last_competed_until_then() -> None:
    """Tenant a completes after 5 s and is refused after 9; by then b has 6 of its 11 tokens."""
    tenants = (TenantHeader("a", 1.0), TenantHeader("b", 1.0))
    log = EventLog(LogHeader(3, 1000, S, (PoolHeader("kv", 10),), tenants=tenants))
    rows: list[tuple[int, EventKind, int, tuple[int, ...]]] = [
        (0, EventKind.ARRIVAL, 0, (100, 2, 0)),
        (0, EventKind.ARRIVAL, 1, (200, 11, 1)),
        (4 * S, EventKind.FIRST_TOKEN, 0, ()),
        (4 * S, EventKind.FIRST_TOKEN, 1, ()),
        (5 * S, EventKind.COMPLETION, 0, (2, 0, 0)),
        (9 * S, EventKind.ARRIVAL, 2, (50, 5, 0)),
        (9 * S, EventKind.REJECTION, 2, (RejectionReason.THROTTLED, 55, 20)),
        (14 * S, EventKind.COMPLETION, 1, (11, 0, 0)),
        (14 * S, EventKind.END, NO_SUBJECT, (900, 980)),
    ]
    for time_ns, kind, subject, values in rows:
        log.append(time_ns, kind, subject, *values)
    first, second = measure(log, Slo())["tenants"]
    assert first["share_pct"] == pytest.approx(100 * 102 / (102 + 206))
    assert second["share_pct"] == pytest.approx(100 * 206 / (102 + 206))


def test_jains_index_runs_from_one_of_all_to_one() -> None:
    assert jain_index(np.array([3.0, 3.0, 3.0])) == 1
    assert jain_index(np.array([5.0, 0.0, 0.0, 0.0])) == pytest.approx(1 / 4)
    assert jain_index(np.array([5.0])) is None
    assert jain_index(np.zeros(3)) is None


def result_of(log: EventLog) -> ReplayResult:
    metrics = measure(log, Slo()) | {"event_log_sha256": log.sha256()}
    return ReplayResult({}, (RunResult("avmp", log, metrics),))


def test_names_of_tenants_are_text_and_never_markup(log: EventLog) -> None:
    page = tenants_html(result_of(log).runs)
    assert "&lt;b&gt;&amp;[bold]" in page
    assert EVIL not in page
    printed = io.StringIO()
    for table in tenant_tables(result_of(log)):
        Console(file=printed, width=120).print(table)
    assert EVIL in printed.getvalue()
    assert "3 (2)" in printed.getvalue()


def test_one_tenant_needs_no_table() -> None:
    tenants = (TenantHeader("a", 1.0),)
    log = EventLog(LogHeader(1, 1000, S, (PoolHeader("kv", 10),), tenants=tenants))
    log.append(0, EventKind.ARRIVAL, 0, 4, 1)
    log.append(0, EventKind.REJECTION, 0, 0, 4, 3)
    log.append(0, EventKind.WASTE_SAMPLE, NO_SUBJECT)
    log.append(0, EventKind.END, NO_SUBJECT)
    result = result_of(log)
    assert result.runs[0].metrics["jain_index"] is None
    assert len(result.runs[0].metrics["tenants"]) == 1
    assert tenants_html(result.runs) == ""
    assert list(tenant_tables(result)) == []


def test_tenants_survive_a_visit_to_the_disk(
    log: EventLog, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("runs")
    run = result_of(log).runs[0]
    save_run(folder, run, "digest")
    again = load_run(folder, "avmp", "digest")
    assert again is not None
    assert again.log.header == log.header
    assert again.log.sha256() == log.sha256()
