"""`twinpool list`: what there is to choose from."""

from __future__ import annotations

from typing import Annotated

import typer

from scenarios.commands.options import JsonFlag, QuietFlag
from scenarios.listing import LISTS, items_of
from scenarios.terminal import print_json, show_items
from scenarios.version import SCHEMA_VERSION, TWINPOOL_VERSION

EPILOG = "Example: twinpool list allocators"


def list_command(
    what: Annotated[str, typer.Argument(help=", ".join(LISTS))],
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """List what there is to choose from, with sources."""
    del quiet  # every command takes it; this one has neither progress nor notes
    items = items_of(what)
    if as_json:
        print_json(
            {
                "schema_version": SCHEMA_VERSION,
                "twinpool_version": TWINPOOL_VERSION,
                "command": "list",
                "seed": None,
                "scenario_digest": None,
                "items": items,
            }
        )
    else:
        show_items(items)
