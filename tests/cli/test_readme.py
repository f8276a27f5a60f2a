"""The README shows what its command prints."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.cli.conftest import Outcome

ROOT = Path(__file__).resolve().parents[2]
MEASURED = "host ns an allocator call"


def _shown() -> tuple[list[str], list[str]]:
    """The replay command of the README and the lines it is said to print."""
    text = (ROOT / "README.md").read_text()
    block = re.search(r"```console\n\$ twinpool (replay traces/.*?)\n(.*?)```", text, re.DOTALL)
    assert block is not None
    return shlex.split(block[1]), _comparable(block[2])


def _comparable(text: str) -> list[str]:
    """Lines without trailing blanks and without what is measured on the host."""
    lines = [line.rstrip() for line in text.splitlines()]
    return [line for line in lines if line and not line.lstrip().startswith(MEASURED)]


def test_the_result_in_the_readme_is_the_result(
    twinpool: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command, lines = _shown()
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(ROOT)
    outcome = twinpool(*command, "--out", tmp_path)
    assert outcome.exit_code == 0
    assert _comparable(outcome.stdout) == lines
