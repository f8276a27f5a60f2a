"""A Markdown page as something to do: files to write, commands to type, output to see.

    ```console                          commands after `$ `, what they print below them
    ```python title="traces/readers/x.py"   a file to write, from the project's root

Other blocks are not touched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
TITLE = re.compile(r'title="(?P<path>[^"]+)"')
PROMPT = "$ "


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file that the reader writes."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """What the reader types, and what it is said to print.

    Attributes:
        start: Where in the page the output begins.
        end: Where it ends.
    """

    text: str
    output: str
    start: int
    end: int


Action = NewFile | Command


def actions_of(page: str) -> Iterator[Action]:
    """What a page asks of its reader, in order."""
    for block in FENCE.finditer(page):
        language = block["info"].split(" ")[0]
        title = TITLE.search(block["info"])
        if language == "console":
            yield from _commands(block["body"], block.start("body"))
        elif title:
            yield NewFile(title["path"], block["body"])


def _commands(body: str, offset: int) -> Iterator[Command]:
    """Commands of a block; one goes on in the next line after a backslash."""
    lines = body.splitlines(keepends=True)
    assert lines[0].startswith(PROMPT), f"a console block begins with a command, not {lines[0]}"
    place = 0
    while place < len(lines):
        first = place
        while lines[place].endswith("\\\n"):
            place += 1
        place += 1
        text = "".join(lines[first:place]).removeprefix(PROMPT)
        shown = place
        while place < len(lines) and not lines[place].startswith(PROMPT):
            place += 1
        start, end = (offset + sum(map(len, lines[:n])) for n in (shown, place))
        yield Command(text.rstrip("\n"), "".join(lines[shown:place]), start, end)
