from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import jsonschema
import pandas as pd
import plotly.graph_objects as go
import pytest

from scenarios.store import kept_runs, read_kept
from tests.unit.compare_case import Writing, log_of, save, served

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

    Twinpool = Callable[..., Outcome]

CASE = served()
STATISTICS = ("mean", "p50", "p90", "p95", "p99")
_NUMBER = {"type": ["number", "null"]}
_NAMED = {
    "type": "object",
    "properties": {"count": {"type": "integer"}, "requests": {"type": "array"}},
    "required": ["count", "requests"],
}


def _object(names: tuple[str, ...], value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": dict.fromkeys(names, value), "required": list(names)}


_FIGURE = _object(("measured", "simulated", "error_pct", "low_pct", "high_pct"), _NUMBER)
_TEXT = {"type": "string"}
_SIDES = ("measured", "simulated")
PROPERTIES: dict[str, Any] = {
    "schema_version": {"type": "integer"},
    "twinpool_version": _TEXT,
    "command": {"const": "compare"},
    "seed": {"type": ["integer", "null"]},
    "scenario_digest": {"type": ["string", "null"]},
    "trace_digest": {"type": ["string", "null"]},
    "wall_seconds": {"type": "number"},
    "allocator": _TEXT,
    "stability": {"enum": ["stable", "backlogged", "overloaded"]},
    "latency_valid": {"type": "boolean"},
    "matched_by": {"enum": ["id", "order"]},
    "matched": {"type": "integer"},
    "compared": {"type": "integer"},
    "unmatched": _object(_SIDES, _NAMED),
    "unserved": _object(_SIDES, _NAMED),
    "token_differences": _object(("prompt", "output"), _NAMED),
    "arrival_span_s": _object(_SIDES, _NUMBER),
    "throughput_error_pct": _NUMBER,
    **{f"{key}_error_pct": _object(STATISTICS, _NUMBER) for key in ("ttft", "tpot", "e2e")},
    "occupancy_mae_pct": _NUMBER,
    "figures": {
        "type": "object",
        "properties": {
            "throughput_rps": _FIGURE,
            "throughput_tokens_per_s": _FIGURE,
            **{f"{key}_s": _object(STATISTICS, _FIGURE) for key in ("ttft", "tpot", "e2e")},
        },
        "required": ["throughput_rps", "ttft_s", "tpot_s", "e2e_s"],
    },
    "per_request": _object(("ttft", "tpot", "e2e"), {"type": "object"}),
    "notes": {"type": "array", "items": _TEXT},
}
SCHEMA = {"type": "object", "properties": PROPERTIES, "required": list(PROPERTIES)}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder with one run."""
    return save(tmp_path / "run", log_of(CASE))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """What was measured of it, by names that are known."""
    text = Writing("ns").write(tmp_path / "log.csv", CASE).read_text()
    known = "id,arrival_ns,first_token_ns,last_token_ns,prompt_tokens,output_tokens"
    (tmp_path / "log.csv").write_text(text.replace("rid,t_in,t_1,t_n,p,o", known))
    return tmp_path / "log.csv"


@pytest.fixture
def use(tmp_path: Path) -> Path:
    """Pool use, five points below that of the run at its start."""
    (tmp_path / "use.csv").write_text("time,pct\n0,45\n3,45\n")
    return tmp_path / "use.csv"


def test_prints_one_object_that_follows_the_contract(
    twinpool: Twinpool, run: Path, log: Path, use: Path
) -> None:
    outcome = twinpool("compare", run, log, "--occupancy", use, "--json")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    result = outcome.json()
    jsonschema.validate(result, SCHEMA)
    assert result["throughput_error_pct"] == 0
    assert result["occupancy_mae_pct"] == pytest.approx(5)
    assert "occupancy_mae_pct" not in str(result["notes"])
    without = twinpool("compare", run, log, "--json").json()
    jsonschema.validate(without, SCHEMA)
    assert without["occupancy_mae_pct"] is None


def test_the_table_says_each_figure_and_each_note(twinpool: Twinpool, run: Path, log: Path) -> None:
    log.write_text("\n".join(log.read_text().splitlines()[:-1]) + "\n")
    outcome = twinpool("compare", run, log)
    assert outcome.exit_code == 0
    for part in ("TTFT p99", "TPOT p95", "end to end mean", "+0.00", "only in the run (39)"):
        assert part in outcome.stdout


def test_the_folder_holds_a_page_that_needs_no_network_and_tables(
    twinpool: Twinpool, run: Path, log: Path, use: Path
) -> None:
    outcome = twinpool("compare", run, log, "--occupancy", use, "--out", "found")
    assert "found/compare.html" in outcome.stderr
    folder = run.parent / "found"
    page = (folder / "compare.html").read_text()
    assert not re.search(r"(src|href)=\"(?!data:,)", page.partition("<script>")[0])
    data = re.search(r'id="chart-data">(.*?)</script>', page)
    assert data is not None
    charts = json.loads(re.sub(r'"--\w+"', '"#123456"', data[1]))
    assert len(charts) == page.count('<div class="chart"') == 7
    for chart in charts:
        go.Figure(chart)
    requests = pd.read_csv(folder / "compare-requests.csv")
    assert len(requests) == 40
    assert (requests["ttft_error_pct"] == 0).all()
    occupancy = pd.read_csv(folder / "compare-occupancy.csv")
    assert (occupancy["simulated_pct"] - occupancy["measured_pct"])[:-1].unique() == [5]
    assert json.loads((folder / "compare.json").read_text())["matched"] == 40


def test_what_a_user_wrote_is_text_and_never_markup(twinpool: Twinpool, log: Path) -> None:
    folder = save(log.parent / "<b>run", log_of(CASE), allocator="<script>")
    twinpool("compare", folder, log, "--out", "found")
    page = (log.parent / "found" / "compare.html").read_text()
    assert page.count("<script") == 3
    assert "&lt;script&gt; against" in page


def test_one_of_several_runs_is_chosen(twinpool: Twinpool, run: Path, log: Path) -> None:
    save(run, log_of(CASE), "avmp:batch=8")
    several = twinpool("compare", run, log)
    _is_one_sentence(several)
    assert "avmp:batch=8, vllm" in several.stderr
    assert twinpool("compare", run, log, "--allocator", "vllm").exit_code == 0
    unknown = twinpool("compare", run, log, "--allocator", "vlm")
    _is_one_sentence(unknown)
    assert "vllm, avmp:batch=8" in unknown.stderr


def test_a_replay_compares_with_its_own_log(twinpool: Twinpool, small_trace: Path) -> None:
    where = ("--model", "nemotron-h-8b", "--device", "h200", "--allocator", "avmp")
    assert twinpool("replay", small_trace, *where, "--out", "here").exit_code == 0
    log = read_kept(kept_runs(small_trace.parent / "here")["avmp"]).log
    rows = [row for row in log.table().tolist() if row[1] in {0, 4, 9}]
    by_request: dict[int, list[int]] = {}
    for time_ns, _, request, *values in rows:
        by_request.setdefault(request, []).extend((time_ns, *values[:2]))
    lines = [f"{i},{v[0]},{v[3]},{v[6]},{v[1]},{v[7]}" for i, v in by_request.items()]
    path = small_trace.parent / "measured.csv"
    path.write_text("\n".join(["a,b,c,d,e,f", *lines]))
    columns = "id=a,arrival=b:ns,first_token=c:ns,last_token=d:ns,prompt=e,output=f"
    result = twinpool("compare", "here", path, "--columns", columns, "--json").json()
    assert result["compared"] == 60
    assert set(result["e2e_error_pct"].values()) == {0.0}
    assert result["notes"] == []
    assert len(result["scenario_digest"]) == 64


HEAD = "id,arrival_s,first_token_s,last_token_s,prompt_tokens,output_tokens\n"
GOOD = "0,0,1,2,5,5\n"
MALFORMED = {
    "empty": ("", "is empty"),
    "header only": (HEAD, "no rows"),
    "no time": (f"{HEAD}{GOOD}1,soon,1,2,5,5\n", "line 3: arrival_s is 'soon'"),
    "one time only": (f"{HEAD}{GOOD}1,1,,2,5,5\n", "line 3: first_token_s is missing"),
    "first too early": (
        f"{HEAD}{GOOD}1,3,2,5,5,5\n",
        "line 3: first_token_s lies before arrival_s",
    ),
    "last too early": (
        f"{HEAD}{GOOD}1,1,3,2,5,5\n",
        "line 3: last_token_s lies before first_token",
    ),
    "no output": (f"{HEAD}{GOOD}1,1,2,3,5,0\n", "line 3: output_tokens is 0"),
    "id twice": (f"{HEAD}{GOOD}{GOOD}", "line 3: id '0' occurs twice"),
    "id no number": (f"{HEAD}{GOOD}cmpl-1,1,2,3,5,5\n", "leave id out to match by order"),
    "nothing in common": (f"{HEAD}999,0,1,2,5,5\n", "no request in common"),
    "nobody served": (f"{HEAD}0,0,,,5,0\n", "no request got its tokens"),
    "ragged": (f"{HEAD}{GOOD}1,2\n", "line 3: 2 cells"),
    "unknown names": ("a,b,c\n1,2,3\n", "known as arrival"),
    "broken JSON": (
        '{"id": 0, "arrival": 0, "ttft": 1, "e2e": 2, "output_tokens": 3}\n{',
        "line 2",
    ),
    "not UTF-8": ("", "not UTF-8"),
}


@pytest.mark.parametrize(("text", "said"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_bad_log_gets_one_sentence_with_its_line(
    twinpool: Twinpool, run: Path, text: str, said: str
) -> None:
    path = run.parent / "log"
    path.write_bytes(text.encode() if said != "not UTF-8" else f"{HEAD}0,\xff".encode("latin-1"))
    outcome = twinpool("compare", run, path)
    _is_one_sentence(outcome)
    assert said in outcome.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--columns", "arival=x"), "arrival"),
        (("--columns", "arrival=x,arrival=y"), "give arrival once"),
        (("--columns", "arrival="), "as arrival=NAME"),
        (("--columns", "arrival=id"), "first_token or ttft"),
        (("--columns", "arrival=x,ttft=y,e2e=z,output=w"), "no column x, y, z, w"),
        (("--occupancy", "nowhere.csv"), "nowhere.csv"),
        (("--occupancy-columns", "time=x"), "--occupancy FILE"),
        (("--occupancy", "log.csv", "--occupancy-columns", "time=arrival_ns,pc=id"), "pct"),
        (("--occupancy", "use.csv", "--occupancy-pool", "k"), "kv, state"),
        (("--out", "log.csv"), "--out"),
    ],
    ids=str,
)
def test_a_mistake_gets_one_sentence_and_exit_2(  # noqa: PLR0913, PLR0917 - three files and a case
    twinpool: Twinpool, run: Path, log: Path, use: Path, options: tuple[str, ...], said: str
) -> None:
    assert use.exists()
    outcome = twinpool("compare", run, log, *options)
    _is_one_sentence(outcome)
    assert said in outcome.stderr


def test_a_folder_without_runs_is_refused(twinpool: Twinpool, log: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "events-avmp.parquet").write_bytes(b"PAR1 no longer")
    said = {"none": "holds no runs", "odd": "is damaged", "log.csv": "is no folder"}
    for folder, sentence in said.items():
        outcome = twinpool("compare", folder, log)
        _is_one_sentence(outcome)
        assert sentence in outcome.stderr


def _is_one_sentence(outcome: Outcome) -> None:
    assert outcome.exit_code == 2
    assert outcome.stdout == ""
    assert outcome.stderr.startswith("twinpool: ")
    assert outcome.stderr.count("\n") == 1
