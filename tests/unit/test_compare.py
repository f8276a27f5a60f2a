from __future__ import annotations

import gzip
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.compare.comparison import CompareOptions, Comparison, compare
from scenarios.compare.figures import LATENCIES, STATISTICS, distribution
from scenarios.compare.matching import match
from scenarios.compare.measured import read_measured
from scenarios.compare.requests import per_request
from scenarios.compare.side import Side, simulated_side
from scenarios.compare.wording import figure_rows
from tests.unit.compare_case import NS_PER, START_NS, Served, Writing, log_of, save, served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEYS = [f"{latency.key}_error_pct" for latency in LATENCIES]


@pytest.fixture
def case() -> Served:
    return served()


def compared(folder: Path, case: Served, log: Served, writing: Writing, **how: Any) -> Comparison:  # noqa: ANN401
    """Compare a run of a case with a log."""
    run = save(folder / "run", log_of(case, how.pop("rejected", ())))
    path = writing.write(folder / "log", log, how.pop("without", ()))
    return compare(CompareOptions(run, path, columns=writing.columns))


def errors(found: Comparison) -> Iterator[float | None]:
    """Every error there is."""
    result = found.to_json()
    yield result["throughput_error_pct"]
    for key in KEYS:
        yield from result[key].values()


@pytest.mark.parametrize("as_jsonl", [False, True])
def test_a_run_against_itself_has_no_error(tmp_path: Path, case: Served, as_jsonl: bool) -> None:  # noqa: FBT001
    found = compared(tmp_path, case, case, Writing("ns", 10**18, as_jsonl=as_jsonl))
    assert set(errors(found)) == {0.0}
    result = found.to_json()
    assert (result["matched"], result["compared"], result["notes"]) == (40, 40, [])
    assert result["figures"]["ttft_s"]["p50"]["measured"] == pytest.approx(
        float(np.median(case.first - case.arrival)) / 1e9
    )
    spans = result["arrival_span_s"]
    assert spans["measured"] == spans["simulated"] == case.arrival[-1] / 1e9
    for key in ("ttft", "tpot", "e2e"):
        assert result["per_request"][key]["p95_abs_error_pct"] == 0
    for figures in found.latencies.values():
        assert all(figure.low_pct == figure.high_pct == 0 for figure in figures.values())


def test_ttft_ten_percent_longer_is_an_error_of_minus_one_in_eleven(
    tmp_path: Path, case: Served
) -> None:
    longer = case.first + (case.first - case.arrival) // 10
    slow = replace(case, first=longer, last=case.last + longer - case.first)
    result = compared(tmp_path, case, slow, Writing("ns")).to_json()
    assert result["ttft_error_pct"] == pytest.approx(dict.fromkeys(STATISTICS, -100 / 11))
    assert result["tpot_error_pct"] == pytest.approx(dict.fromkeys(STATISTICS, 0.0), abs=1e-9)
    assert all(value < 0 for value in result["e2e_error_pct"].values())
    about = result["per_request"]["ttft"]
    assert about["median_abs_error_pct"] == pytest.approx(100 / 11)
    assert about["median_error_pct"] == pytest.approx(-100 / 11)
    for part in about["origins"]:
        assert part["median_error_pct"] == pytest.approx(-100 / 11)
    figure = result["figures"]["ttft_s"]["p99"]
    assert (figure["low_pct"], figure["high_pct"]) == pytest.approx((-100 / 11, -100 / 11))


def test_errors_are_relative_to_what_was_measured(tmp_path: Path, case: Served) -> None:
    """Everything twice as slow: throughput half, times twice, seen from the log."""
    first, last = (case.arrival + 2 * (t - case.arrival) for t in (case.first, case.last))
    slow = replace(case, first=first, last=last)
    result = compared(tmp_path, slow, case, Writing("us")).to_json()
    for key in KEYS:
        assert result[key] == pytest.approx(dict.fromkeys(STATISTICS, 100.0))
    seconds = [(each.last.max() - each.arrival[0]) / 1e9 for each in (case, slow)]
    assert result["throughput_error_pct"] == pytest.approx(100 * (seconds[0] / seconds[1] - 1))
    figure = result["figures"]["throughput_tokens_per_s"]
    assert figure["measured"] == pytest.approx(case.output.sum() / seconds[0])


writings = st.builds(
    Writing,
    unit=st.sampled_from(sorted(NS_PER)),
    zero_ns=st.integers(0, 2 * 10**18),
    has_ids=st.booleans(),
    order=st.permutations(range(12)).map(tuple),
    as_jsonl=st.booleans(),
)


@given(writings)
def test_order_units_and_clocks_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, writing: Writing
) -> None:
    case = served(12)
    path = writing.write(tmp_path_factory.mktemp("any") / "log", case)
    side = read_measured(path, writing.columns).side
    matching = match(side, simulated_side(log_of(case)))
    ours, theirs = matching.measured, matching.simulated
    for name in ("request", "arrival_ns", "first_token_ns", "last_token_ns", "output_tokens"):
        assert getattr(ours, name).tolist() == getattr(theirs, name).tolist()
    assert ours.request.tolist() == list(range(12))
    assert not any(map(len, (*matching.only.values(), *matching.differing.values())))


def test_a_run_counts_from_its_first_arrival(case: Served) -> None:
    side = simulated_side(log_of(case))
    assert START_NS > 0
    assert side.arrival_ns.tolist() == case.arrival.tolist()
    assert side.last_token_ns.tolist() == case.last.tolist()


def test_time_stamps_with_zones_and_durations_are_times_too(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(
        "request_id,arrival_time,ttft_ms,finished_at,input_tokens,output_tokens\n"
        "1,2026-01-01T10:00:01.5Z,250,2026-01-01T10:00:03Z,7,3\n"
        "0,2026-01-01T11:00:00+01:00,500.5,2026-01-01T10:00:02.000000001Z,9,1\n"
    )
    log = read_measured(path, None)
    assert log.side.request.tolist() == [1, 0]
    assert log.side.arrival_ns.tolist() == [1_500_000_000, 0]
    assert log.side.first_token_ns.tolist() == [1_750_000_000, 500_500_000]
    assert log.side.last_token_ns.tolist() == [3_000_000_000, 2_000_000_001]
    assert log.side.prompt_tokens.tolist() == [7, 9]


def test_a_compressed_log_reads_as_the_log_does(tmp_path: Path, case: Served) -> None:
    plain = Writing("us").write(tmp_path / "log.csv", case)
    packed = tmp_path / "log.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    ours, theirs = (read_measured(path, Writing("us").columns).side for path in (plain, packed))
    assert ours.last_token_ns.tolist() == theirs.last_token_ns.tolist()


def test_requests_of_one_side_only_are_counted_and_named(tmp_path: Path, case: Served) -> None:
    less = Writing("ns", order=tuple(range(3, 40)))
    result = compared(tmp_path, case, case, less, rejected=(5, 6), without=(6, 9)).to_json()
    assert result["matched"] == 37
    assert result["compared"] == 34
    assert result["unmatched"]["simulated"] == {"count": 3, "requests": [0, 1, 2]}
    assert result["unmatched"]["measured"] == {"count": 0, "requests": []}
    assert result["unserved"]["simulated"] == {"count": 2, "requests": [5, 6]}
    assert result["unserved"]["measured"] == {"count": 2, "requests": [6, 9]}
    notes = " ".join(result["notes"])
    assert "3 requests are only in the run (0, 1, 2) and not compared." in notes
    assert "2 requests got no tokens in the measured log (6, 9)." in notes


def test_by_order_what_is_left_over_is_the_end(tmp_path: Path, case: Served) -> None:
    less = Writing("ns", has_ids=False, order=tuple(range(38)))
    result = compared(tmp_path, case, case, less).to_json()
    assert result["matched_by"] == "order"
    assert result["unmatched"]["simulated"] == {"count": 2, "requests": [38, 39]}
    assert all(value == 0 for value in result["ttft_error_pct"].values())
    assert "different load" in " ".join(result["notes"])


def test_other_work_and_other_load_are_said(tmp_path: Path, case: Served) -> None:
    output = case.output.copy()
    output[[2, 3]] += 1
    other = replace(case, output=output, prompt=case.prompt + (np.arange(40) == 4))
    result = compared(tmp_path, case, other, Writing("ns")).to_json()
    assert result["token_differences"]["output"] == {"count": 2, "requests": [2, 3]}
    assert result["token_differences"]["prompt"] == {"count": 1, "requests": [4]}
    assert "2 of 40 requests differ in output tokens (2, 3)" in " ".join(result["notes"])
    arrival, first, last = (t // 2 for t in (case.arrival, case.first, case.last))
    faster = replace(case, arrival=arrival, first=first, last=last)
    notes = " ".join(compared(tmp_path, case, faster, Writing("ns")).notes)
    assert "the two sides had different load" in notes
    assert "Arrivals of the same request are up to" in notes


def test_latencies_of_an_overloaded_run_are_marked(tmp_path: Path, case: Served) -> None:
    run = save(tmp_path / "run", log_of(case), stability="overloaded")
    log = Writing().write(tmp_path / "log", case)
    found = compare(CompareOptions(run, log, columns=Writing().columns))
    assert "† The run was overloaded" in " ".join(found.notes)
    assert found.to_json()["latency_valid"] is False
    rows = {label: simulated for label, _, simulated, *_ in figure_rows(found)}
    assert len(rows) == 2 + 3 * 5
    for label, text in rows.items():
        assert text.endswith("†") == (not label.startswith("throughput"))
    assert found.facts["seed"] == 7


def test_origins_find_the_requests_that_are_off() -> None:
    """Only long prompts are slower in the log: the last quarter of prompts has all the error."""
    case = served(200)
    is_long = case.prompt > np.percentile(case.prompt, 75)
    first = case.first + np.where(is_long, case.first - case.arrival, 0)
    ours, theirs = (
        simulated_side(log_of(each))
        for each in (replace(case, first=first, last=case.last + first - case.first), case)
    )
    about = per_request(match(ours, theirs), LATENCIES[0])
    shares = [p["share_of_error_pct"] for p in about["origins"] if p["by"] == "prompt tokens"]
    assert shares == pytest.approx([0, 0, 0, 100])
    halves = [p for p in about["origins"] if p["by"] == "preemption in the run"]
    assert sum(part["share_of_error_pct"] for part in halves) == pytest.approx(100)
    assert about["worst"][0]["error_pct"] == pytest.approx(-50)


def test_intervals_hold_the_error_and_narrow_with_more_requests() -> None:
    widths = []
    for num_requests in (100, 1600):
        case = served(num_requests)
        noise = np.random.default_rng(1).lognormal(0, 0.3, num_requests)
        first = case.arrival + ((case.first - case.arrival) * noise).astype(np.int64)
        other = replace(case, first=first, last=case.last + first - case.first)
        sides: list[Side] = [simulated_side(log_of(each)) for each in (other, case)]
        figure = distribution(match(*sides), LATENCIES[0])["p50"]
        assert figure.low_pct is not None
        assert figure.high_pct is not None
        assert figure.error_pct is not None
        assert figure.low_pct < figure.error_pct < figure.high_pct
        widths.append(figure.high_pct - figure.low_pct)
    assert widths[1] < widths[0] / 2
