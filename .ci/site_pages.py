"""How pages of the repository become pages of the site: a hook of mkdocs.

README.md and CHANGELOG.md are pages too. A link to any other file of the repository leads to a page
that shows the file, and one to a folder to a page with its files, so that the same link works in
both places.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File, Files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
ADDED = {"README.md": "index.md", "CHANGELOG.md": "changelog.md"}
FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<=\]\()(?P<path>(?![a-z]+:)[^)#\s]+)(?P<anchor>#[^)\s]*)?(?=\))")
LANGUAGES = {".py": "python", ".toml": "toml", ".json": "json", ".yml": "yaml"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside docs/, and one for every other file that is linked."""
    for origin, place in ADDED.items():
        text = (ROOT / origin).read_text(encoding="utf-8")
        files.append(File.generated(config, place, content=text))
    linked = {target for file in files.documentation_pages() for target in _targets(file)}
    for target in sorted(linked):
        if _place(target).startswith("source/") and (ROOT / target).exists():
            files.append(File.generated(config, _place(target), content=_shown(target)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links of the repository into links of the site."""
    del config, files
    origin = _origin(page.file)

    def moved(link: re.Match[str]) -> str:
        place = _place(_target(origin, link["path"]))
        start = posixpath.dirname(page.file.src_uri)
        return posixpath.relpath(place, start or ".") + (link["anchor"] or "")

    return _outside_fences(markdown, lambda text: LINK.sub(moved, text))


def _outside_fences(markdown: str, change: Callable[[str], str]) -> str:
    pieces = FENCE.split(markdown)
    return "".join(p if FENCE.fullmatch(p) else change(p) for p in pieces)


def _origin(file: File) -> str:
    """Where a page lies in the repository."""
    origins = {place: origin for origin, place in ADDED.items()}
    return origins.get(file.src_uri, f"docs/{file.src_uri}")


def _targets(file: File) -> Iterator[str]:
    """Files of the repository that a page links to."""
    for piece in FENCE.split(file.content_string):
        if not FENCE.fullmatch(piece):
            yield from (_target(_origin(file), link["path"]) for link in LINK.finditer(piece))


def _target(origin: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(origin), path))


def _place(target: str) -> str:
    """Where a file of the repository lies in the site."""
    if target.startswith("docs/") and not (ROOT / target).is_dir():
        return target.removeprefix("docs/")
    return ADDED.get(target, f"source/{target}.md")


def _shown(target: str) -> str:
    """A page that shows a file, or lists a folder; not to be found by a search."""
    path = ROOT / target
    if path.is_dir():
        body = "\n".join(f"- `{entry.name}`" for entry in sorted(path.iterdir()))
    else:
        language = LANGUAGES.get(path.suffix, "text")
        body = f"````{language}\n{path.read_text(encoding='utf-8')}\n````"
    return f"---\nsearch: {{exclude: true}}\n---\n\n# {target}\n\n{body}\n"
