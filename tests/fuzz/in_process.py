"""The command line in this process: what it printed, and how it ended."""

from __future__ import annotations

import io
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cli

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str


def twinpool(arguments: Sequence[str], folder: Path) -> Ended:
    """Run a command in a folder, as a shell with UTF-8 would."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", errors) for errors in ("strict", ERRORS))
    before, place = sys.argv, os.getcwd()  # noqa: PTH109 - to go back
    sys.argv = ["twinpool", *arguments]
    os.chdir(folder)
    try:
        with redirect_stdout(out), redirect_stderr(err):
            cli.main()
        raise AssertionError("the command did not exit")
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        sys.argv = before
        os.chdir(place)
    return Ended(code, _text(out), _text(err))


ERRORS = "backslashreplace"
"""How Python writes what stderr cannot show."""


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()
