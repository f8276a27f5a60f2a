"""The glossary and the code use the same words."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("allocator", "gpu_backend", "scenarios", "sim", "traces")
SOURCES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")


def _rows(text: str) -> Iterator[tuple[str, str]]:
    """The two cells of each row of a table."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and len(cells) == 2:
            yield cells[0], cells[1]


def _words(name: str) -> set[str]:
    parts = re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+", name)
    return {part.lower() for part in parts}


def _public_names(path: Path) -> Iterator[str]:
    """Of modules, classes, functions, parameters, attributes and constants."""
    yield path.stem
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                yield name
                yield from _assigned(node)
            case ast.arg(arg=name):
                yield name
            case ast.Module():
                yield from _assigned(node)


def _assigned(owner: ast.ClassDef | ast.FunctionDef | ast.Module) -> Iterator[str]:
    """Attributes of a class and constants of a module; what a function assigns is its own."""
    for node in owner.body if not isinstance(owner, ast.FunctionDef) else ():
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        yield from (target.id for target in targets if isinstance(target, ast.Name))


def test_no_public_name_uses_another_word() -> None:
    start = GLOSSARY.index("## Not these words")
    forbidden = {
        other: word
        for word, others in _rows(GLOSSARY[start:])
        if word != "word"
        for other in others.split(", ")
    }
    assert len(forbidden) > 30
    found = {
        f"{name} in {path.relative_to(ROOT)}: say {forbidden[word]}, not {word}"
        for path in SOURCES
        for name in _public_names(path)
        if not name.startswith("_")
        for word in _words(name) & forbidden.keys()
    }
    assert not found


def test_every_word_of_the_glossary_is_used() -> None:
    """In names or sentences of the code, or on another page."""
    pages = [path for path in (ROOT / "docs").rglob("*.md") if path.name != "glossary.md"]
    code = " ".join(path.read_text(encoding="utf-8") for path in [*SOURCES, *pages])
    said = re.sub(r"(?<=[a-z])(?=[A-Z])|[\s_\-]+", " ", code).lower()
    defined = GLOSSARY[: GLOSSARY.index("## Not these words")]
    terms = {t for word, _ in _rows(defined) if word != "word" for t in word.split(", ")}
    assert len(terms) > 100
    unused = {t for t in terms if re.sub(r"[\s_\-]+", " ", t).lower() not in said}
    assert not unused
