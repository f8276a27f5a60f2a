"""ServeGen's archives: what is drawn has the statistics of the tables, whatever else is inside."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from traces import archive
from traces.load import TraceOptions, load_trace
from traces.record import TraceError
from traces.renewal import GammaGaps, WeibullGaps, arrivals_s

if TYPE_CHECKING:
    from traces.record import Trace
    from traces.renewal import Gaps

PUBLIC = Path(__file__).resolve().parents[2].parent / "shared/traces/servegen_deepseek-r1.tar.gz"
ROWS = "0,2.0,1.5,Gamma,0.4444,1.125\n600,0,0,,0,0\n1200,1.0,0.8,Weibull,1.2,1.06\n"
OTHER = "0,0.5,1,Gamma,1,2\n600,0.5,1,Gamma,1,2\n1200,0.5,1,Gamma,1,2\n"
TABLES = {
    "0": {
        "input_tokens": "{5: 0.25, 100: 0.75}",
        "output_tokens": "{7: 1.0}",
        "reason_ratio": "{}",
    },
    "1200": {"input_tokens": "{6: 1e-05}", "output_tokens": "{8: 1}", "reason_ratio": "{}"},
}


def files_of(number: int, rows: str = ROWS, tables: object = TABLES) -> dict[str, str]:
    return {
        f"data/chunk-{number}-trace.csv": rows,
        f"data/chunk-{number}-dataset.json": tables
        if isinstance(tables, str)
        else json.dumps(tables),
    }


def packed(path: Path, files: dict[str, str], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as made:  # type: ignore[call-overload] # one of two modes
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            made.addfile(member, io.BytesIO(text.encode()))
    return path


def read(path: Path, options: str = "servegen", seed: int = 0) -> Trace:
    return load_trace(str(path), TraceOptions(format=options, seed=seed))


def test_windows_and_tables_are_those_of_the_archive(tmp_path: Path) -> None:
    path = packed(tmp_path / "small.tar.gz", {**files_of(3), **files_of(12, OTHER)})
    trace = load_trace(str(path))  # told by its content
    assert trace.arrival_ns is not None
    windows = np.bincount(trace.arrival_ns // (600 * 10**9), minlength=3)
    assert windows[0] == pytest.approx(2.5 * 600, rel=0.15)
    assert windows[1] == pytest.approx(0.5 * 600, rel=0.25)
    assert len(windows) == 3
    late = trace.arrival_ns >= 1200 * 10**9
    assert set(trace.prompt_tokens[late]) == {6}
    assert set(trace.output_tokens[late]) == {8}
    assert (trace.prompt_tokens[~late] == 100).mean() == pytest.approx(0.75, abs=0.05)


def test_the_seed_decides_and_other_clients_do_not_matter(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.tar", {**files_of(3), **files_of(12, OTHER)}, "w")
    assert read(path).digest() == read(path).digest() != read(path, seed=1).digest()
    assert read(path, "servegen:seed=1").digest() == read(path, seed=1).digest()
    both, busiest = read(path, "servegen:tenants=yes"), read(path, "servegen:clients=1")
    mine = np.array(both.tenants) == "client-3"
    assert both.arrival_ns is not None
    assert busiest.arrival_ns is not None
    assert (both.arrival_ns[mine] == busiest.arrival_ns).all()
    assert set(both.tenants) == {"client-3", "client-12"}


def test_requests_without_lengths_are_counted(tmp_path: Path) -> None:
    tables = {**TABLES, "1200": {"input_tokens": "{}", "output_tokens": "{}"}}
    trace = read(packed(tmp_path / "a.tar.gz", files_of(0, tables=tables)))
    assert trace.dropped[0].count == pytest.approx(600, rel=0.25)


@pytest.mark.parametrize("gaps", [GammaGaps(0.3), GammaGaps(4.0), WeibullGaps(0.7), WeibullGaps(2)])
def test_a_window_of_a_stationary_process_holds_rate_times_time(gaps: Gaps) -> None:
    rng = np.random.default_rng(7)
    drawn = [arrivals_s(gaps, 0.02, 100, rng) for _ in range(4000)]  # two each: the start matters
    counts = np.array([len(times) for times in drawn])
    assert counts.mean() == pytest.approx(2, abs=5 * counts.std() / np.sqrt(len(counts)))
    times = np.concatenate(drawn)
    assert times.min() >= 0
    assert times.max() < 100
    assert times.mean() == pytest.approx(50, abs=5 * 29 / np.sqrt(len(times)) * counts.std())


@pytest.mark.parametrize(
    ("rows", "tables", "sentence"),
    [
        ("0,1,1,Gamma,1\n", TABLES, "line 1: '0,1,1,Gamma,1' is no window"),
        ("0,-1,1,Gamma,1,1\n", TABLES, "line 1: .* is no window"),
        (ROWS + "x,1,1,Gamma,1,1\n", TABLES, "line 4: .* is no window"),
        ("0,1,1,Pareto,1,1\n", TABLES, "'Pareto' is no pattern of gaps"),
        ("0,nan,1,Gamma,1,1\n", TABLES, "is no window"),
        ("0,999999,1,Gamma,1,1\n" * 999, TABLES, "more than 6,000,000 requests"),
        ("0,0,0,,0,0\n", TABLES, "no client sends anything"),
        (ROWS, "[]", "is no table of lengths by window"),
        (ROWS, "[" * 100_000, "is no table of lengths by window"),
        (ROWS, {"0": {"input_tokens": "{1: 1}"}}, "is no table of lengths by window"),
        (ROWS, {"0": {"input_tokens": "5", "output_tokens": "{1: 1}"}}, "no table of token counts"),
        (
            ROWS,
            {"0": {"input_tokens": "{1: __import__('os').abort()}", "output_tokens": "{}"}},
            "is no token count and probability",
        ),
        (ROWS, {"0": {"input_tokens": "{1: 0}", "output_tokens": "{}"}}, "sum to 0"),
    ],
)
def test_what_is_malformed_is_said_with_its_place(
    tmp_path: Path, rows: str, tables: object, sentence: str
) -> None:
    with pytest.raises(TraceError, match=sentence):
        read(packed(tmp_path / "a.tar.gz", files_of(5, rows, tables)))


def test_names_that_climb_and_links_do_nothing(tmp_path: Path) -> None:
    path = tmp_path / "evil.tar"
    with tarfile.open(path, "w") as made:
        for name, kind in (
            ("../../chunk-1-trace.csv", tarfile.SYMTYPE),
            ("/etc/x", tarfile.CHRTYPE),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            made.addfile(member)
        for name, text in files_of(2).items():
            member = tarfile.TarInfo(f"../../../{name}")
            member.size = len(text)
            made.addfile(member, io.BytesIO(text.encode()))
    assert len(read(path)) > 1000
    assert [each.name for each in tmp_path.iterdir()] == ["evil.tar"]


def test_bombs_and_broken_archives_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = packed(tmp_path / "good.tar.gz", files_of(1))
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(good.read_bytes()[:-40])
    with pytest.raises(TraceError, match=r"no tar archive that can be read|cut short"):
        read(cut)
    with pytest.raises(TraceError, match="client 1 lacks its trace or its dataset"):
        read(packed(tmp_path / "half.tar", {"chunk-1-trace.csv": ROWS}, "w"))
    with pytest.raises(TraceError, match="client 1 is there twice"):
        read(packed(tmp_path / "two.tar", {**files_of(1), "b/chunk-1-trace.csv": ROWS}, "w"))
    with pytest.raises(TraceError, match=r"holds no chunk-N-trace\.csv"):
        read(packed(tmp_path / "other.tar", {"notes.txt": "x"}, "w"))
    with pytest.raises(TraceError, match="tar archive of no known format"):
        load_trace(str(tmp_path / "other.tar"))
    monkeypatch.setattr(archive, "MAX_BYTES", 20_000)
    with pytest.raises(TraceError, match="unpacks to more than"):
        read(packed(tmp_path / "bomb.tar.gz", {"zeros": "0" * 10**6, **files_of(1)}))
    monkeypatch.setattr(archive, "MAX_MEMBER_BYTES", 10)
    with pytest.raises(TraceError, match="unpacks to more than"):
        read(good)


def test_options_are_checked_like_those_of_presets(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.tar", files_of(1), "w")
    with pytest.raises(TraceError, match="servegen has no option 'client'"):
        read(path, "servegen:client=1")
    with pytest.raises(TraceError, match="clients must be at least 0"):
        read(path, "servegen:clients=-1")
    with pytest.raises(TraceError, match="the format azure has no options"):
        read(path, "azure:seed=1")


def test_a_day_has_the_published_statistics() -> None:
    if not PUBLIC.exists():
        pytest.skip("the public archive of ServeGen is not on this machine")
    trace = load_trace(str(PUBLIC))
    assert trace.arrival_ns is not None
    assert len(trace) == pytest.approx(1_383_669, rel=0.005)
    rates = np.bincount(trace.arrival_ns // (600 * 10**9), minlength=144) / 600
    assert len(rates) == 144
    assert (rates.mean(), rates.min(), rates.max()) == pytest.approx((16.0, 4.3, 42.5), rel=0.05)
    published = (
        (trace.prompt_tokens, 1268.2, (208, 6714, 23423), 57284),
        (trace.output_tokens, 1527.4, (792, 5701, 12607), 32768),
    )
    for tokens, mean, percentiles, most in published:
        assert tokens.mean() == pytest.approx(mean, rel=0.01)
        assert np.percentile(tokens, (50, 95, 99)) == pytest.approx(percentiles, rel=0.02)
        assert tokens.max() == most


def test_a_member_that_is_cut_short_or_far_too_large_is_said(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.tar", files_of(3), "w")
    whole = path.read_bytes()
    path.write_bytes(whole[: archive.BLOCK_BYTES + 10])
    with pytest.raises(TraceError, match="unexpected end of data"):
        read(path)
    member = tarfile.TarInfo("data/chunk-3-trace.csv")
    member.size = archive.MAX_MEMBER_BYTES + 1
    path.write_bytes(member.tobuf() + bytes(archive.BLOCK_BYTES))
    with pytest.raises(TraceError, match=" unpacks to more than a trace archive"):
        read(path)
