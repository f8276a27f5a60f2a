"""Every link of every page leads somewhere in the repository; `make docs` checks the site."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.decisions import END, INDEX, listing, records
from tests.docs.links import anchors_of, links_of

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in links_of(page.read_text(encoding="utf-8")):
        target = (page.parent / link.path).resolve() if link.path else page
        assert target.exists(), f"{link.path} is not there"
        assert target.is_relative_to(ROOT), f"{link.path} lies outside the project"
        if link.anchor:
            assert link.anchor in anchors_of(target.read_text(encoding="utf-8")), link


def test_no_page_is_without_a_link_to_it() -> None:
    linked = {
        (page.parent / link.path).resolve()
        for page in PAGES
        for link in links_of(page.read_text(encoding="utf-8"))
    }
    assert set(PAGES) - linked - {ROOT / "README.md"} == set()


def test_the_decisions_are_listed_and_numbered_without_gaps() -> None:
    assert [int(record.name[:4]) for record in records()] == [*range(1, len(records()) + 1)]
    shown = INDEX.read_text(encoding="utf-8")
    assert f"\n\n{listing()}\n\n{END}" in shown, "run python tests/docs/regenerate.py --decisions"
