"""What the report says and shows, on logs written by hand."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest

from scenarios.report import write_report
from scenarios.report.page import chart_rows, report_html
from scenarios.report.reading import reading_of
from scenarios.report.table import SECTIONS, best_run, row_cells
from scenarios.result import ReplayResult, RunResult
from sim.event_log import NO_SUBJECT, EventKind, EventLog, LogHeader, PoolHeader

S = 10**9
GIB = 1 << 30
PAGE_BYTES = 1 << 20
FIGURES = {figure.path: figure for section in SECTIONS for figure in section.figures}


def log_of(num_requests: int = 4, *, first_token_s: float = 0.5) -> EventLog:
    """Requests that arrive a second apart, get a token at once and nine in the next second."""
    pools = (PoolHeader("kv", PAGE_BYTES), PoolHeader("state", 4 * PAGE_BYTES))
    log = EventLog(LogHeader(num_requests, GIB, S, pools))
    for request in range(num_requests):
        start = request * 3 * S
        log.append(start, EventKind.ARRIVAL, request, 100, 10)
        log.append(start + int(first_token_s * S), EventKind.FIRST_TOKEN, request)
        log.append(start + S, EventKind.QUEUE_SAMPLE, NO_SUBJECT, 1, 0, 10 * PAGE_BYTES)
        log.append(start + S, EventKind.WASTE_SAMPLE, NO_SUBJECT, PAGE_BYTES, 0, 0)
        log.append(start + S, EventKind.POOL_SAMPLE, 0, 6, 512)
        log.append(start + S, EventKind.POOL_SAMPLE, 1, 1, 128)
        log.append(start + 2 * S, EventKind.COMPLETION, request, 10, 0, 0)
    return log


def ended(log: EventLog, peak_bytes: int = 10 * PAGE_BYTES) -> EventLog:
    log.append(3 * S * log.header.num_requests, EventKind.END, NO_SUBJECT, peak_bytes, GIB)
    return log


def run_of(allocator: str, log: EventLog | None = None, **figures: object) -> RunResult:
    metrics: dict[str, object] = {
        "completed": 4,
        "oom_events": 0,
        "goodput_rps": 0.5,
        "ttft_s": {"mean": 0.5, "p50": 0.5, "p90": 0.5, "p99": 0.5},
        "tpot_s": {"mean": 0.2, "p50": 0.2, "p90": 0.2, "p99": None},
        "peak_bytes": 10 * PAGE_BYTES,
        "stability": "stable",
    }
    return RunResult(allocator, log or ended(log_of()), {**metrics, **figures})


def pressed_log() -> EventLog:
    log = log_of()
    for request in range(3):
        log.append(12 * S, EventKind.OOM, request, 1, 1, 0)
    log.append(12 * S, EventKind.OOM, 3, 0, 1, 0)
    log.append(12 * S, EventKind.PREEMPTION, 3, 64, 1)
    log.append(12 * S, EventKind.MIGRATION, NO_SUBJECT, 0, 1, 256 * PAGE_BYTES)
    log.append(12 * S, EventKind.WASTE_SAMPLE, NO_SUBJECT, 0, 0, 100 * PAGE_BYTES)
    return ended(log)


def result_of(*runs: RunResult, **facts: object) -> ReplayResult:
    known: dict[str, Any] = {
        "trace": "conv.csv.gz",
        "requests": 4,
        "model": "nemotron-h-8b",
        "device": None,
        "budget_bytes": GIB,
        "seed": 2026,
        "slo": {"ttft_s": 2.0, "tpot_s": 0.1},
        "dropped_rows": [{"reason": "failed requests", "count": 7}],
    }
    return ReplayResult({**known, **facts}, runs)


def spoken(runs: list[RunResult]) -> str:
    return " ".join(reading_of(runs)).replace("\N{NO-BREAK SPACE}", " ")


class Outline(HTMLParser):
    """Tags with their attributes, and all text outside of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        assert not self._open, f"left open: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "link"}:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self._open):
            self.text += data


def test_nothing_is_loaded_from_elsewhere() -> None:
    outline = Outline(report_html(result_of(run_of("static"), run_of("avmp"))))
    links = [attrs.get(key) for _, attrs in outline.tags for key in ("src", "href")]
    assert [link for link in links if link] == ["data:,"]
    assert [tag for tag, _ in outline.tags].count("script") == 3
    policy = next(a["content"] for _, a in outline.tags if "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_the_table_is_a_table_that_can_be_read_aloud() -> None:
    tags = Outline(report_html(result_of(run_of("static"), run_of("avmp")))).tags
    assert ("html", {"lang": "en"}) in tags
    scopes = [attrs.get("scope") for tag, attrs in tags if tag == "th"]
    assert scopes.count("col") == 3
    assert scopes.count("rowgroup") == len(SECTIONS)
    assert scopes.count("row") == len(FIGURES) + 1
    assert [tag for tag, _ in tags].count("td") == 2 * (len(FIGURES) + 1)


def test_what_the_user_wrote_is_text_and_never_markup() -> None:
    evil = "<script>alert('&')</script>"
    page = report_html(result_of(run_of(evil), run_of("avmp"), trace=evil, scheduler=evil))
    outline = Outline(page)
    assert [tag for tag, _ in outline.tags].count("script") == 3
    assert outline.text.count(evil) >= 5


def test_the_header_says_what_was_run() -> None:
    text = Outline(report_html(result_of(run_of("static")))).text
    assert "TTFT ≤ 2.00 s, TPOT ≤ 100 ms" in text.replace("\N{NO-BREAK SPACE}", " ")
    for part in ("conv.csv.gz", "4 (7 rows left out: failed requests)", "nemotron-h-8b", "2026"):
        assert part in text


def test_an_interrupted_replay_without_runs_still_has_a_report(tmp_path: Path) -> None:
    write_report(result_of(), tmp_path / "report.html")
    assert "No run has ended." in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_figure_that_is_missing_shows_a_dash() -> None:
    runs = [run_of("static", ttft_s={"p99": None}), run_of("avmp", ttft_s={"p99": 0.5})]
    assert [cell.text for cell in row_cells(FIGURES["ttft_s.p99"], runs)] == ["-", "500"]
    assert best_run(FIGURES["ttft_s.p99"], runs) is None
    report_html(result_of(RunResult("bare", ended(log_of()), {})))


@pytest.mark.parametrize(
    ("path", "values", "best"),
    [
        ("goodput_rps", (1.0, 2.0), 1),
        ("oom_events", (1, 2), 0),
        ("goodput_rps", (2.0, 2.0001), None),
        ("peak_bytes", (1, 2), None),
    ],
)
def test_the_best_reading_of_a_row_is_marked(
    path: str, values: tuple[float, float], best: int | None
) -> None:
    names = ("static", "avmp")
    runs = [run_of(name, None, **{path: v}) for name, v in zip(names, values, strict=True)]
    assert best_run(FIGURES[path], runs) is (None if best is None else runs[best])


def test_the_bound_and_overloaded_percentiles_do_not_compete() -> None:
    bound = run_of("shared-bytes", completed=9)
    others = [run_of("static", completed=4), run_of("avmp", completed=5)]
    assert best_run(FIGURES["completed"], [*others, bound]) is others[1]
    overloaded = run_of("padded", stability="overloaded", tpot_s={"p50": 0.001})
    runs = [overloaded, run_of("avmp", tpot_s={"p50": 0.002})]
    assert best_run(FIGURES["tpot_s.p50"], runs) is None
    assert [cell.is_overloaded for cell in row_cells(FIGURES["tpot_s.p50"], runs)] == [True, False]


def test_reading_of_runs_that_memory_never_bound() -> None:
    text = spoken([run_of("static"), run_of("avmp")])
    assert "Memory never bound: no allocation failed" in text
    assert "peak use was at most 0.98 % of the budget" in text
    assert "same moment under every allocator, so they differ in bytes only" in text
    assert "best" not in text


def test_reading_does_not_claim_equal_runs_where_times_differ() -> None:
    slower = ended(log_of(num_requests=5))
    assert "same moment" not in spoken([run_of("static"), run_of("avmp", slower)])


def test_reading_of_runs_under_pressure() -> None:
    runs = [run_of("static", pressed_log(), goodput_rps=1.0), run_of("avmp", goodput_rps=1.5)]
    text = spoken([*runs, run_of("shared-bytes", goodput_rps=2.0)])
    assert "Memory never bound under avmp and shared-bytes" in text
    assert "avmp has the best goodput (1.50 requests/s; static, the next, 1.00)" in text
    assert "Of the goodput of the bound (2.00 requests/s): 50 % under static and 75 % under" in text
    assert "Under static: 4 failed allocations (75 % in pool state)" in text
    assert "1 preemption (64 tokens to recompute), 1 migration (256 MiB)" in text
    assert "at 20 % of the samples the queue waited" in text
    assert "100 MiB on average" in text


def test_reading_names_rejections_and_overload() -> None:
    log = log_of(num_requests=5)
    log.append(14 * S, EventKind.REJECTION, 4, 0, 900, 800)
    text = spoken([run_of("padded", ended(log), stability="overloaded")])
    assert "padded refused 1 of 5 requests" in text
    assert "Overloaded: padded." in text


def test_every_chart_is_one_that_plotly_accepts() -> None:
    rows = chart_rows([run_of("static", pressed_log()), run_of("avmp"), run_of("padded")])
    assert len(rows) == 5
    for row in rows:
        assert len(row.figures) == len(row.notes) == 3
        for figure in row.figures:
            go.Figure(json.loads(re.sub(r'"--\w+"', '"#123456"', json.dumps(figure))))


def test_the_columns_of_a_row_share_their_axes() -> None:
    runs = [run_of("static", pressed_log()), run_of("avmp", ended(log_of(9, first_token_s=0.01)))]
    for row in chart_rows(runs):
        first, second = (figure["layout"] for figure in row.figures)
        assert first == second


def test_a_run_without_samples_or_completions_is_drawn_empty() -> None:
    log = EventLog(LogHeader(1, GIB, S, (PoolHeader("kv", PAGE_BYTES),)))
    log.append(0, EventKind.ARRIVAL, 0, 100, 10)
    log.append(0, EventKind.REJECTION, 0, 0, 110, 50)
    log.append(0, EventKind.END, NO_SUBJECT, 0, GIB)
    assert "1 of 1 requests" in Outline(report_html(result_of(run_of("static", log)))).text
