"""Runs the command line in this process, and keeps what it printed."""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

import cli

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # So it is in a background job of a script, and children inherit it: they could not be stopped.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str

    def json(self) -> dict[str, Any]:
        """The one JSON object on stdout."""
        result: dict[str, Any] = json.loads(self.stdout)
        return result


@pytest.fixture
def twinpool(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Outcome]:
    """Call `twinpool` with arguments, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["twinpool", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), printed.out, printed.err)

    return run


@pytest.fixture
def small_trace(tmp_path: Path) -> Path:
    """Sixty requests a tenth of a second apart, in the Azure format."""
    rows = [
        f"2023-11-16 18:15:{i // 10:02d}.{i % 10}000000,{100 + 37 * i % 900},{20 + i % 50}"
        for i in range(60)
    ]
    path = tmp_path / "small.csv"
    path.write_text("\n".join(["TIMESTAMP,ContextTokens,GeneratedTokens", *rows]) + "\n")
    return path
