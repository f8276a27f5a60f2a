from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from tests.cli.replay_schema import REPLAY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

    Twinpool = Callable[..., Outcome]

WHERE = ("--model", "nemotron-h-8b", "--device", "h200")
TIGHT = ("--memory-gib", "0.5", "--rate-scale", "4")


def test_prints_one_object_that_follows_the_contract(twinpool: Twinpool, small_trace: Path) -> None:
    outcome = twinpool("replay", small_trace, *WHERE, "--allocator", "avmp padded", "--json")
    assert outcome.exit_code == 0
    result = outcome.json()
    jsonschema.validate(result, REPLAY)
    assert [run["allocator"] for run in result["runs"]] == ["avmp", "padded"]
    assert result["requests"] == 60
    assert all(run["completed"] == 60 for run in result["runs"])


def test_json_alone_writes_no_files(twinpool: Twinpool, small_trace: Path) -> None:
    twinpool("replay", small_trace, *WHERE, "--allocator", "avmp", "--json")
    assert [path.name for path in small_trace.parent.iterdir()] == ["small.csv"]


def test_writes_a_table_a_report_and_the_logs(twinpool: Twinpool, small_trace: Path) -> None:
    outcome = twinpool("replay", small_trace, *WHERE, "--allocator", "avmp", "--out", "here")
    assert outcome.exit_code == 0
    assert "TTFT p99" in outcome.stdout
    assert "here/report.html" in outcome.stderr
    names = {path.name for path in (small_trace.parent / "here").iterdir()}
    assert names == {"report.html", "result.json", "events-avmp.parquet"}


def test_results_do_not_depend_on_process_or_order(twinpool: Twinpool, small_trace: Path) -> None:
    digests: list[dict[str, str]] = []
    for order in (("avmp", "padded", "static"), ("static", "avmp", "padded"), ("padded",)):
        given = [word for name in order for word in ("--allocator", name)]
        runs = twinpool("replay", small_trace, *WHERE, *TIGHT, *given, "--json").json()["runs"]
        digests.append({run["allocator"]: run["event_log_sha256"] for run in runs})
    assert digests[0] == digests[1]
    assert digests[2]["padded"] == digests[0]["padded"]
    assert len(set(digests[0].values())) == 3


def test_a_kept_run_is_not_run_again(twinpool: Twinpool, small_trace: Path) -> None:
    command = ("replay", small_trace, *WHERE, "--out", "here", "--json", "--allocator")
    first = twinpool(*command, "avmp").json()["runs"][0]
    kept = small_trace.parent / "here" / "events-avmp.parquet"
    written_ns = kept.stat().st_mtime_ns
    again = twinpool(*command, "avmp static").json()["runs"]
    assert kept.stat().st_mtime_ns == written_ns
    assert again[0] == first
    assert again[1]["allocator"] == "static"


def test_a_kept_run_of_another_scenario_is_replaced(twinpool: Twinpool, small_trace: Path) -> None:
    command = ("replay", small_trace, *WHERE, "--out", "here", "--json", "--allocator", "avmp")
    first = twinpool(*command).json()["runs"][0]
    other = twinpool(*command, *TIGHT).json()["runs"][0]
    assert other["event_log_sha256"] != first["event_log_sha256"]
    assert other == twinpool(*command, *TIGHT).json()["runs"][0]


def test_a_damaged_kept_run_is_run_again(twinpool: Twinpool, small_trace: Path) -> None:
    command = ("replay", small_trace, *WHERE, "--out", "here", "--json", "--allocator", "avmp")
    first = twinpool(*command).json()["runs"][0]
    (small_trace.parent / "here" / "events-avmp.parquet").write_bytes(b"PAR1 no longer")
    assert twinpool(*command).json()["runs"][0]["event_log_sha256"] == first["event_log_sha256"]


@pytest.mark.parametrize(
    ("options", "requests"),
    [
        (("--limit", "7"), 7),
        (("--start", "1", "--duration", "2"), 20),
        (("--start", "5"), 10),
        (("--rate-scale", "3"), 60),
    ],
)
def test_options_choose_the_requests(
    twinpool: Twinpool, small_trace: Path, options: tuple[str, ...], requests: int
) -> None:
    command = ("replay", small_trace, *WHERE, "--allocator", "avmp", "--json")
    result = twinpool(*command, *options).json()
    assert result["requests"] == requests
    assert result["trace_digest"] != twinpool(*command).json()["trace_digest"]


def test_lengths_without_times_need_and_take_an_arrival_process(
    twinpool: Twinpool, tmp_path: Path
) -> None:
    path = tmp_path / "lengths.csv"
    path.write_text("num_prefill_tokens,num_decode_tokens,num_total_tokens,pd_ratio\n8,2,10,4\n")
    command = ("replay", path, *WHERE, "--allocator", "avmp", "--json")
    refused = twinpool(*command)
    assert refused.exit_code == 2
    assert "--arrivals" in refused.stderr
    for arrivals in ("poisson:rate=5", "closed-loop:clients=2"):
        assert twinpool(*command, "--arrivals", arrivals).json()["runs"][0]["completed"] == 1


def test_a_request_that_can_never_fit_is_rejected(twinpool: Twinpool, tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    path.write_text("arrived_at,num_prefill_tokens,num_decode_tokens\n0,30000,5\n1,100,5\n")
    command = ("replay", path, *WHERE, "--memory-gib", "0.5", "--json", "--allocator")
    (run,) = twinpool(*command, "static").json()["runs"]
    assert (run["completed"], run["rejected"]) == (1, 1)


MALFORMED: dict[str, bytes] = {
    "empty": b"",
    "header only": b"TIMESTAMP,ContextTokens,GeneratedTokens\n",
    "zero tokens": b"TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.68,0,5\n",
    "negative tokens": b"arrived_at,num_prefill_tokens,num_decode_tokens\n0,5,-1\n",
    "unsorted": b"arrived_at,num_prefill_tokens,num_decode_tokens\n5,9,9\n1,9,9\n",
    "missing column": b"TIMESTAMP,ContextTokens\n2023-11-16 18:15:46.68,5\n",
    "no number": b"arrived_at,num_prefill_tokens,num_decode_tokens\n0,many,5\n",
    "no time": b"TIMESTAMP,ContextTokens,GeneratedTokens\nyesterday,5,5\n",
    "not UTF-8": b"arrived_at,num_prefill_tokens,num_decode_tokens\n0,5,\xff\xfe\n",
    "truncated gz": gzip.compress(b"arrived_at,num_prefill_tokens,num_decode_tokens\n0,5,5\n")[:-9],
    "broken JSON": b'{"timestamp": 0, "input_length": 5, "output_length": 5, "hash_ids": [0]}\n{"t',
    "unknown format": b"when,what\n1,2\n",
    "binary": bytes(range(256)),
}


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_trace_gets_one_sentence_and_exit_2(
    twinpool: Twinpool, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "trace"
    path.write_bytes(content)
    _is_one_sentence(twinpool("replay", path, *WHERE, "--allocator", "avmp", "--json"))
    assert [left.name for left in tmp_path.iterdir()] == ["trace"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"--model": "nemotron"}, "nemotron-h-8b"),
        ({"--device": "h201"}, "h200"),
        ({"--allocator": "amvp"}, "avmp"),
        ({"--allocator": "static:ratio=0.5"}, "state_ratio"),
        ({"--allocator": "static:state_ratio=1.5"}, "between 0 and 1"),
        ({"--allocator": "static:state_ratio=half"}, "a number"),
        ({"--allocator": "avmp:trigger=never"}, "failure"),
        ({"--allocator": "avmp avmp"}, "twice"),
        ({"--allocator": " "}, "--allocator"),
        ({"--scheduler": "fifo"}, "fcfs"),
        ({"--scheduler": "fcfs:max_seqs=0"}, "max_seqs"),
        ({"--memory-gib": "0"}, "above 0"),
        ({"--memory-gib": "nan"}, "above 0"),
        ({"--memory-gib": "0.0001"}, "granule"),
        ({"--memory-gib": "1000"}, "h200"),
        ({"--tp": "0"}, "--tp"),
        ({"--tp": "7"}, "tp"),
        ({"--kv-dtype": "fp4"}, "fp8"),
        ({"--seed": "-1"}, "--seed"),
        ({"--limit": "0"}, "limit"),
        ({"--limit": "many"}, "--limit"),
        ({"--rate-scale": "0"}, "rate"),
        ({"--rate-scale": "inf"}, "rate"),
        ({"--start": "1e6"}, "no request"),
        ({"--format": "azur"}, "azure"),
        ({"--engine-step": "slow"}, "exact"),
        ({"--out": "small.csv"}, "--out"),
        ({"--frobnicate": "1"}, "--frobnicate"),
    ],
    ids=str,
)
def test_a_mistake_gets_one_sentence_and_exit_2(
    twinpool: Twinpool, small_trace: Path, changed: dict[str, str], said: str
) -> None:
    options = {"--model": "nemotron-h-8b", "--device": "h200", "--allocator": "avmp"} | changed
    words = [word for pair in options.items() for word in pair]
    outcome = twinpool("replay", small_trace, *words)
    _is_one_sentence(outcome)
    assert said in outcome.stderr


def test_a_model_too_large_for_the_device_is_refused(twinpool: Twinpool, small_trace: Path) -> None:
    where = ("--model", "jamba-1.5-mini", "--device", "rtx-3060-12gb", "--allocator", "avmp")
    outcome = twinpool("replay", small_trace, *where)
    _is_one_sentence(outcome)
    assert "--memory-gib" in outcome.stderr


def test_percentiles_of_an_overloaded_run_are_marked(twinpool: Twinpool, tmp_path: Path) -> None:
    requests = "poisson:n=400,rate=40,prompt=64,output=100"
    command = ("replay", requests, *WHERE, "--memory-gib", "0.5", "--allocator", "padded static")
    shown = twinpool(*command, "--scheduler", "fcfs:max_seqs=2", "--out", "here")
    assert shown.stdout.count("†") == 2 * 6 + 1  # both runs, six latencies, and what it means
    runs = json.loads((tmp_path / "here" / "result.json").read_text())["runs"]
    assert [run["latency_valid"] for run in runs] == [False, False]
    assert all(run["queue_growth"]["unserved_pct"] > 50 for run in runs)
    assert (tmp_path / "here" / "report.html").read_text().count("† overloaded") >= 2 * 3 + 1
    calm = twinpool(*command, "--rate-scale", "0.01", "--json").json()["runs"]
    assert all(run["latency_valid"] for run in calm)


def test_result_json_in_the_folder_is_what_json_prints(
    twinpool: Twinpool, small_trace: Path
) -> None:
    command = ("replay", small_trace, *WHERE, "--allocator", "avmp", "--out", "here", "--json")
    printed = twinpool(*command).json()
    written: dict[str, Any] = json.loads((small_trace.parent / "here/result.json").read_text())
    assert written == printed


def _is_one_sentence(outcome: Outcome) -> None:
    assert outcome.exit_code == 2
    assert outcome.stdout == ""
    assert outcome.stderr.startswith("twinpool: ")
    assert outcome.stderr.count("\n") == 1
    assert "Traceback" not in outcome.stderr


def test_swapping_shows_where_it_is_asked_for(twinpool: Twinpool, small_trace: Path) -> None:
    command = ("replay", small_trace, *WHERE, *TIGHT, "--rate-scale", "40", "--allocator", "avmp")
    swapped = twinpool(*command, "--preemption", "swap:overlap=on", "--json").json()
    assert swapped["preemption"] == "swap:overlap=on"
    (run,) = swapped["runs"]
    assert run["completed"] == 60
    assert run["recomputed_tokens"] == 0
    assert run["swaps"]["out_bytes"] == run["swaps"]["in_bytes"] > 0
    tables = [twinpool(*command, "--preemption", way).stdout for way in ("swap", "recompute")]
    assert ["swapped out" in table for table in tables] == [True, False]
    report = small_trace.parent / "twinpool-out" / "report.html"
    assert "Swapping to host memory" not in report.read_text()
    twinpool(*command, "--preemption", "swap")
    assert "Swapping to host memory" in report.read_text()


@pytest.mark.parametrize(
    ("allocator", "preemption", "said"),
    [
        ("avmp", "swop", "swap"),
        ("avmp", "swap:host=3", "host_gib"),
        ("avmp", "swap:host_gib=-1", "at least 0"),
        ("avmp", "swap:choice=never", "always, cheaper"),
        ("vllm:caching=on", "swap", "preempt by recompute"),
    ],
)
def test_preemption_that_cannot_be_is_said(
    twinpool: Twinpool, small_trace: Path, allocator: str, preemption: str, said: str
) -> None:
    given = ("--allocator", allocator, "--preemption", preemption)
    outcome = twinpool("replay", small_trace, *WHERE, *given)
    assert outcome.exit_code == 2
    assert said in outcome.stderr
    assert outcome.stderr.count("\n") == 1


NEIGHBOURS = ("replay", "noisy-neighbour:n=6,rate=4,prompt=600,output=80", *WHERE)


def test_tenants_share_by_their_settings_and_each_has_its_figures(twinpool: Twinpool) -> None:
    given = ("--memory-gib", "0.5", "--allocator", "avmp", "--tenant", "*:max_waiting=9")
    chosen = ("--scheduler", "fair+queue-limit+token-bucket:rate=4000", "--tenant")
    result = twinpool(
        *NEIGHBOURS, *given, *chosen, "noisy:weight=0.5,max_waiting=2", "--json"
    ).json()
    jsonschema.validate(result, REPLAY)
    (run,) = result["runs"]
    assert [tenant["tenant"] for tenant in run["tenants"]] == ["noisy", "well-behaved"]
    assert [tenant["weight"] for tenant in run["tenants"]] == [0.5, 1.0]
    assert run["rejections"]["queue_full"] == run["rejected"] > 0
    assert 0.5 <= run["jain_index"] <= 1
    assert [tenant["name"] for tenant in result["tenant_settings"]] == ["*", "noisy"]


def test_the_terminal_and_the_report_show_several_tenants(twinpool: Twinpool) -> None:
    outcome = twinpool(*NEIGHBOURS, "--allocator", "avmp", "--scheduler", "fair", "--out", "here")
    assert "Tenants under avmp, Jain's index" in outcome.stdout
    assert "well-behaved" in outcome.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--tenant", "nosiy:weight=2"), "use one of noisy"),
        (("--tenant", "noisy:weight=0"), "weight must be above 0"),
        (("--scheduler", "fcfs+headroom+headroom"), "given twice"),
        (("--scheduler", "fcfs+token-bucket:overflow=wiat"), "wait, reject"),
    ],
)
def test_mistakes_about_tenants_are_the_users(
    twinpool: Twinpool, arguments: tuple[str, ...], said: str
) -> None:
    outcome = twinpool(*NEIGHBOURS, "--allocator", "avmp", *arguments)
    assert outcome.exit_code == 2
    assert said in outcome.stderr
    assert "Traceback" not in outcome.stderr
