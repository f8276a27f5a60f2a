"""`twinpool report` on folders of sweeps and comparisons, two of them, and as pictures."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from scenarios.report.png import SCALE, WIDTH_PX, figures_of
from scenarios.sweep import SweepOptions, sweep
from scenarios.sweep_file import load_sweep
from scenarios.sweep_store import read_results
from tests.unit.compare_case import Writing, log_of, save, served

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Outcome

    Twinpool = Callable[..., Outcome]

SCENARIO = """
[sweep]
summary = "two cells"
models = ["nemotron-h-8b"]
device = "h200"
loads = [1]
seeds = 1
allocators = ["shared-bytes", "static"]

[memory]
sequences = 8
reference_tokens = 512

[mixes.chat]
trace = "poisson:n=30,prompt=300,output=60"
"""
PNG_HEAD = b"\x89PNG\r\n\x1a\n"


class Silent:
    """Watches nothing."""

    def starts(self, stage: str, total: int) -> None:
        """A stage begins."""

    def advanced(self, pieces: int) -> None:
        """Pieces have ended."""


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders `one` and `two`: the second is swept at twice the load."""
    folder = tmp_path_factory.mktemp("swept")
    for name, load in (("one", "1"), ("two", "2")):
        (folder / name).mkdir()
        (folder / "cells.toml").write_text(SCENARIO.replace("loads = [1]", f"loads = [{load}]"))
        sweep(load_sweep(str(folder / "cells.toml")), SweepOptions(folder / name), Silent())
    return folder


def test_sweeps_are_reported_and_compared(twinpool: Twinpool, swept: Path) -> None:
    own = (swept / "one/report.html").read_text()
    done = twinpool("report", swept / "one", "--out", "page", "--no-png", "--json").json()
    assert done["files"] == ["page/report.html"]
    assert Path("page/report.html").read_text() == own
    twinpool("report", swept / "one", swept / "two", "--out", "both")
    page = Path("both/comparison.html").read_text()
    rates = [
        read_results(swept / name / "results.parquet")[1]["goodput_rps"] for name in ["one", "two"]
    ]
    for text in ("one", "two", "shared-bytes", "static", f"{100 * (rates[1] / rates[0] - 1):+.2f}"):
        assert text in page


def test_comparisons_are_reported_and_compared(twinpool: Twinpool, tmp_path: Path) -> None:
    writing, case = Writing("ns", 10**18), served()
    run = save(tmp_path / "run", log_of(case))
    log = writing.write(tmp_path / "log", case, ())
    for name in ("first", "second"):
        arguments = (run, log, "--columns", writing.columns, "--out", name)
        assert twinpool("compare", *arguments).exit_code == 0
    done = twinpool("report", "first", "--out", "page", "--no-png", "--json").json()
    assert Path(done["files"][0]).read_text() == Path("first/compare.html").read_text()
    twinpool("report", "first", "second", "--out", "both")
    page = Path("both/comparison.html").read_text()
    assert "Nothing: both answer the same question" in page
    assert "TTFT p50 measured" in page
    rows = csv.DictReader(Path("first/compare-requests.csv").read_text().splitlines())
    assert len(list(rows)) == len(case)


def test_folders_that_cannot_be_compared_are_named(twinpool: Twinpool, swept: Path) -> None:
    Path("empty").mkdir()
    for arguments, sentence in (
        ((swept / "one", "empty"), "empty holds no result of"),
        (("none",), "none is no folder"),
    ):
        refused = twinpool("report", *arguments)
        assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
        assert sentence in refused.stderr


def test_every_chart_becomes_a_picture(twinpool: Twinpool, swept: Path) -> None:
    pytest.importorskip("kaleido", reason="PNGs need the extra `png`, which is not installed")
    done = twinpool("report", swept / "one", "--out", "page", "--png", "--json")
    if "need Chrome" in done.stderr:
        pytest.skip(done.stderr)
    page, *pictures = map(Path, done.json()["files"])
    charts = list(figures_of(page.read_text()))
    assert [file.name for file in pictures] == [f"chart-{n + 1}.png" for n in range(len(charts))]
    assert charts
    for file in pictures:
        content = file.read_bytes()
        assert content.startswith(PNG_HEAD)
        assert int.from_bytes(content[16:20], "big") == WIDTH_PX * SCALE


def test_without_kaleido_the_page_is_written_and_the_reason_said(
    twinpool: Twinpool, swept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kaleido", None)
    done = twinpool("report", swept / "one", "--out", "page", "--json")
    assert done.exit_code == 0
    assert done.json()["files"] == ["page/report.html"]
    assert done.stderr == "twinpool: PNGs need kaleido: pip install 'twinpool[png]'\n"
    assert twinpool("report", swept / "one", "--out", "page", "--no-png").stderr == ""


def test_without_chrome_the_page_is_written_and_the_reason_said(
    twinpool: Twinpool, swept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_images(*_: object, **__: object) -> None:
        raise RuntimeError("no browser")

    drawing = SimpleNamespace(write_images=write_images)
    monkeypatch.setitem(sys.modules, "kaleido", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "plotly.io", drawing)
    done = twinpool("report", swept / "one", "--out", "page")
    assert done.exit_code == 0
    assert done.stdout == "page/report.html\n"
    assert done.stderr == (
        "twinpool: PNGs need Chrome or Chromium, which kaleido could not use: RuntimeError\n"
    )
    assert [file.name for file in Path("page").iterdir()] == ["report.html"]
