"""Options that several commands take."""

from __future__ import annotations

from typing import Annotated

import typer

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
QuietFlag = Annotated[bool, typer.Option("--quiet", help="No progress and no notes on stderr.")]
ProfileOption = Annotated[
    str | None,
    typer.Option(help="Measured step costs: a name in `twinpool list profiles`, or a file."),
]
