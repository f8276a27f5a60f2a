"""Which pages are done by a test, and what of them cannot be."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SET_UP = ("make demo", "make test", ". .venv/bin/activate")
"""Commands that make or enter an environment; the first is tested apart."""


def done_pages() -> list[Path]:
    """Pages whose every command is run in order, and whose every shown line is compared."""
    docs = ROOT / "docs"
    named = ("tutorial", "capacity", "compare")
    how_to = sorted((docs / "how-to").glob("add-*.md"))
    return [ROOT / "README.md", *(docs / f"{name}.md" for name in named), *how_to]


def is_set_up(command: str) -> bool:
    """Whether a command only sets the project up."""
    return command.split("#", maxsplit=1)[0].strip() in SET_UP
