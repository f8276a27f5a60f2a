"""Write what the commands of the pages print now into the pages.

    python tests/docs/regenerate.py [PAGE...]       the pages that are named, or all
    python tests/docs/regenerate.py --decisions     only the list of decision records

A page may change only when what it shows is meant to: read the difference before committing it.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.docs.decisions import INDEX, with_listing
from tests.docs.output import comparable
from tests.docs.page import NewFile, actions_of
from tests.docs.pages import ROOT, done_pages, is_set_up
from tests.docs.workplace import Workplace


def regenerated(page: str, place: Workplace) -> str:
    """A page with what its commands print; what is equal but for measured figures stays."""
    pieces, end = [], 0
    for action in actions_of(page):
        if isinstance(action, NewFile):
            place.write(action)
        elif not is_set_up(action.text):
            printed = place.run(action.text)
            if comparable(printed) == comparable(action.output):
                continue
            lines = [line.rstrip() for line in printed.splitlines()]
            pieces += [page[end : action.start], *(f"{line}\n" for line in lines if line)]
            end = action.end
    return "".join([*pieces, page[end:]])


def main() -> None:
    """Rewrite the pages that are named, or all, and the list of decisions."""
    INDEX.write_text(with_listing(INDEX.read_text(encoding="utf-8")), encoding="utf-8")
    if sys.argv[1:] == ["--decisions"]:
        return
    for page in map(Path, sys.argv[1:]) if sys.argv[1:] else done_pages():
        with tempfile.TemporaryDirectory() as folder:
            place = Workplace(Path(folder))
            page.write_text(regenerated(page.read_text(encoding="utf-8"), place), encoding="utf-8")
            for drawing in place.drawings():
                shutil.copy(place.root / drawing, ROOT / drawing)


if __name__ == "__main__":
    main()
