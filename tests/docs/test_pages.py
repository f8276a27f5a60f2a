"""The pages for newcomers are done as they are written; what is printed is what they show."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.docs.output import comparable
from tests.docs.page import Command, NewFile, actions_of
from tests.docs.pages import ROOT, done_pages, is_set_up
from tests.docs.workplace import Workplace

if TYPE_CHECKING:
    from pathlib import Path

HOW_TO = "python tests/docs/regenerate.py writes what is printed now into the pages"


@pytest.mark.parametrize("page", done_pages(), ids=lambda page: page.stem)
def test_a_page_can_be_done_as_it_is_written(page: Path, tmp_path: Path) -> None:
    place = Workplace(tmp_path)
    for action in actions_of(page.read_text(encoding="utf-8")):
        if isinstance(action, NewFile):
            place.write(action)
        elif not is_set_up(action.text):
            printed = place.run(action.text)
            assert comparable(printed) == comparable(action.output), f"{action.text}: {HOW_TO}"
    for drawing in place.drawings():
        assert (place.root / drawing).read_bytes() == (ROOT / drawing).read_bytes(), HOW_TO


def test_every_page_has_something_to_do() -> None:
    for page in done_pages():
        actions = list(actions_of(page.read_text(encoding="utf-8")))
        assert any(isinstance(action, Command) and action.output for action in actions), page


def test_make_demo_writes_the_report(tmp_path: Path) -> None:
    """Without installing: its recipe, with the command from the path."""
    place = Workplace(tmp_path)
    recipe = subprocess.run(
        ["make", "--dry-run", "demo"],  # noqa: S607 - whichever make there is
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.replace("\\\n", "")
    (replay,) = [line for line in recipe.splitlines() if line.startswith(".venv/bin/twinpool")]
    place.run(replay.removeprefix(".venv/bin/") + " --limit 100")
    assert (place.root / "demo-out" / "report.html").stat().st_size > 0
