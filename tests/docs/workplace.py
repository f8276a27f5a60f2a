"""A copy of the project in which a page's files are written and its commands are run."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.docs.page import NewFile

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns(".*", "*.egg-info", "build", "dist", "*-out")
NOT_INHERITED = ("PYTEST", "COV", "FORCE_COLOR", "CLICOLOR", "TWINPOOL")
COLUMNS = 80
LIMIT_S = 600
REFUSED = 2
NOTE = "twinpool: "


class Workplace:
    """The project as a newcomer has it after `make demo`: `twinpool` and `python` on the path."""

    def __init__(self, folder: Path) -> None:
        self.root = Path(shutil.copytree(ROOT, folder / "twinpool", ignore=LEFT_OUT))
        tools = folder / "bin"
        tools.mkdir()
        python = shlex.quote(sys.executable)
        _script(tools / "python", f'exec {python} "$@"')
        start = shlex.quote("import sys; from cli import main; sys.exit(main())")
        _script(tools / "twinpool", f'exec {python} -c {start} "$@"')
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(NOT_INHERITED)},
            "LC_ALL": "C.UTF-8",
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.root),  # before the installed project
            "PYTHONUNBUFFERED": "1",  # notes and results as they come
            "COLUMNS": str(COLUMNS),
        }

    def write(self, file: NewFile) -> None:
        """Write a file as the page says."""
        path = self.root / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text, encoding="utf-8")

    def run(self, command: str) -> str:
        """What a command prints, notes included.

        Raises:
            AssertionError: If it does not end with 0; 2 is for one that says only what is wrong.
        """
        done = subprocess.run(  # noqa: S602 - the commands of our own pages
            command,
            shell=True,
            executable="/bin/bash",
            cwd=self.root,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=LIMIT_S,
            check=False,
        )
        is_refusal = done.stdout.startswith(NOTE) and done.stdout.count("\n") == 1
        assert done.returncode == (REFUSED if is_refusal else 0), (
            f"{command}\nended with {done.returncode}:\n{done.stdout}"
        )
        return done.stdout

    def drawings(self) -> list[Path]:
        """The pictures that commands draw, from the project's root."""
        return sorted(p.relative_to(self.root) for p in self.root.glob("docs/images/*.svg"))


def _script(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
