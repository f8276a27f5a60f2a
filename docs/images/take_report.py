"""Take a picture of the top of a report in a headless Chromium.

python -m docs.images.take_report REPORT.html OUT.png
"""

from __future__ import annotations

import base64
import shutil
import sys
import tempfile
from pathlib import Path

from tests.browser.conftest import CHROMIUM_NAMES, Browser

WIDTH_PX, HEIGHT_PX = 1200, 2320
IS_DRAWN = "Boolean(document.documentElement.dataset.drawn)"


def main(report: Path, out: Path) -> None:
    """Write the picture."""
    chromium = next(filter(None, map(shutil.which, CHROMIUM_NAMES)))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(chromium, Path(profile))
        try:
            browser.call("Emulation.setScrollbarsHidden", hidden=True)
            browser.open(report.resolve(), WIDTH_PX, HEIGHT_PX)
            browser.wait_for(IS_DRAWN)
            picture = browser.call("Page.captureScreenshot", format="png")["data"]
        finally:
            browser.close()
    out.write_bytes(base64.b64decode(picture))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
