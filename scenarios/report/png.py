"""The charts of a page as PNG files, drawn by the same plotly."""

from __future__ import annotations

import importlib
import json
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from scenarios.errors import CannotWriteError
from scenarios.report.document import part
from scenarios.whole_file import appearing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WIDTH_PX, SCALE = 900, 2
_DATA = re.compile(r'<script type="application/json" id="chart-data">(.*?)</script>', re.DOTALL)
_COLOR = re.compile(r"^\s*(--[\w-]+): (#\w+);", re.MULTILINE)


class CannotDrawError(Exception):
    """PNGs cannot be drawn here; the message says what they need."""


def write_pngs(page: str, folder: Path) -> list[Path]:
    """Write every chart of a page as `chart-1.png`, `chart-2.png`, ...

    Args:
        page: The page's text, as `document_html` makes it.
        folder: Where to.

    Raises:
        CannotDrawError: Kaleido is not installed, or finds no Chrome or Chromium.
    """
    figures = list(figures_of(page))
    paths = [folder / f"chart-{number}.png" for number in range(1, len(figures) + 1)]
    try:
        importlib.import_module("kaleido")
        drawing: Any = importlib.import_module("plotly.io")
        if figures:
            with ExitStack() as stack:
                partial = [stack.enter_context(appearing(path)) for path in paths]
                drawing.write_images(figures, partial, "png", width=WIDTH_PX, scale=SCALE)
    except CannotWriteError:
        raise
    except ImportError:
        raise CannotDrawError("PNGs need kaleido: pip install 'twinpool[png]'") from None
    except Exception as error:  # kaleido's own errors have no common base
        raise CannotDrawError(
            f"PNGs need Chrome or Chromium, which kaleido could not use: {type(error).__name__}"
        ) from error
    return paths


def figures_of(page: str) -> Iterator[dict[str, Any]]:
    """Plotly's figures of a page, its palette's light colours put in."""
    found = _DATA.search(page)
    palette: dict[str, str] = {}
    for name, color in _COLOR.findall(part("page.css")):
        palette.setdefault(name, color)  # the light ones come first
    for figure in json.loads(found[1]) if found else []:
        coloured = _coloured(figure, palette)
        coloured["layout"]["paper_bgcolor"] = palette["--surface"]
        yield coloured


def _coloured(value: Any, palette: dict[str, str]) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {key: _coloured(each, palette) for key, each in value.items()}
    if isinstance(value, list):
        return [_coloured(each, palette) for each in value]
    return palette.get(value, value) if isinstance(value, str) else value
