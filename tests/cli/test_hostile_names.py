"""Names with markup in them: shown as they are, on terminals and in reports."""

from __future__ import annotations

import json
import os
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from tests.checkpoints import NEMOTRON

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MODEL = "<img src=x onerror=alert(1)>.json"
TENANT = "<script>alert(1)</script>"
MARKUP = "[bold]x[/] &amp; <b>"
WHERE = ("--model", MODEL, "--memory-gib", "1")


class Tags(HTMLParser):
    """Names of elements and what follows `on` in attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


@pytest.fixture
def hostile(tmp_path: Path) -> str:
    """A trace whose name is no UTF-8 and holds markup, as its tenants do; its name."""
    (tmp_path / MODEL).write_text(
        json.dumps({**NEMOTRON, "max_position_embeddings": 4096, "_name_or_path": "us/<b>model"})
    )
    name = os.fsdecode(b"[red]<i>\xff.csv")
    rows = [f"{i},{30 + i},4,{TENANT if i % 2 else MARKUP}" for i in range(8)]
    (tmp_path / name).write_text("\n".join(["arrival,prompt,output,tenant", *rows]))
    return name


def check_page(path: Path, *names: str) -> None:
    page = path.read_text()
    tags = Tags()
    tags.feed(page)
    assert not tags.names & {"img", "i", "b", "iframe"}
    assert not tags.handlers
    assert "<script>alert" not in page
    for name in names:
        assert name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") in page


def test_of_model_trace_and_tenants(
    twinpool: Callable[..., object], hostile: str, tmp_path: Path
) -> None:
    columns = "arrival=arrival:s,prompt=prompt,output=output,tenant=tenant"
    given = (*WHERE, "--device", "h200", "--allocator", "avmp", "--tenant", f"{TENANT}:weight=2")
    outcome = twinpool("replay", hostile, "--columns", columns, *given, "--out", "o")
    assert outcome.exit_code == 0, outcome.stderr  # type: ignore[attr-defined]
    assert "[red]<i>\\udcff.csv" in outcome.stdout  # type: ignore[attr-defined]
    assert TENANT in outcome.stdout  # type: ignore[attr-defined]
    check_page(tmp_path / "o" / "report.html", TENANT, MARKUP, "[red]<i>\\udcff.csv")
    assert twinpool("report", "o", "--no-png").exit_code == 0  # type: ignore[attr-defined]


def test_of_a_capacity_and_a_plan(
    twinpool: Callable[..., object], hostile: str, tmp_path: Path
) -> None:
    del hostile
    assert twinpool("capacity", *WHERE, "--out", "c").exit_code == 0  # type: ignore[attr-defined]
    check_page(tmp_path / "c" / "capacity.html", "<b>model")
    quick = (
        "--seeds",
        1,
        "--no-sensitivity",
        "--tolerance",
        1,
        "--jobs",
        1,
        "--slo",
        "ttft_p99=9s",
    )
    given = (*WHERE, "--device", "h200", "--trace", "poisson:n=8", "--allocator", "avmp", *quick)
    outcome = twinpool("plan", *given, "--out", "p")
    assert outcome.exit_code == 0, outcome.stderr  # type: ignore[attr-defined]
    check_page(tmp_path / "p" / "plan.html", MODEL)


def test_of_a_mix(twinpool: Callable[..., object], tmp_path: Path) -> None:
    text = f"""
        [sweep]
        summary = "s"
        models = ["nemotron-h-8b"]
        device = "h200"
        loads = [1]
        seeds = 1
        allocators = ["avmp"]
        [memory]
        sequences = 4
        reference_tokens = 128
        [capacity]
        seeds = 1
        [mixes.{json.dumps(TENANT)}]
        trace = "poisson:n=5"
    """
    (tmp_path / "[red]<i>.toml").write_text(text)
    outcome = twinpool("sweep", "[red]<i>.toml", "--jobs", 1, "--out", "s")
    assert outcome.exit_code == 0, outcome.stderr  # type: ignore[attr-defined]
    assert "[red]<i>: 1 cells" in outcome.stdout  # type: ignore[attr-defined]
    check_page(tmp_path / "s" / "report.html", "[red]<i>")


@pytest.mark.parametrize(
    "words",
    [
        ("capacity", "--model", "nemotron-h-8b", "--memory-gib", "1e300"),
        ("capacity", "--model", "nemotron-h-8b", "--memory-gib", "20", "--block-size", "9" * 20),
        ("sweep", "shift", "--jobs", "9" * 20),
    ],
)
def test_numbers_that_no_option_takes(twinpool: Callable[..., object], words: list[str]) -> None:
    outcome = twinpool(*words)
    assert outcome.exit_code == 2, outcome.stderr  # type: ignore[attr-defined]
