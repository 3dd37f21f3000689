"""Draw the PNG icons of the installable app from the mark, with the Chromium of the tests.

Run by a maintainer when ``static/img/mark.svg`` changes: ``python -m tools.icons``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tools.browser import find_chromium

IMAGES = Path(__file__).resolve().parent.parent / "trials" / "web" / "static" / "img"
# A maskable icon is cropped to a circle by some phones: the mark keeps to the inner 80 %.
SIZES = (("icon-192", 192, 1.0), ("icon-512", 512, 1.0), ("icon-maskable-512", 512, 0.72))


def main() -> int:
    """Write the icons; needs a Chromium."""
    chromium = find_chromium()
    if chromium is None:
        print("No Chromium found: run `make browser` first.")
        return 2
    mark = (IMAGES / "mark.svg").read_text("utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, chromium_sandbox=os.geteuid() != 0
        )
        for name, size, share in SIZES:
            page = browser.new_page(viewport={"width": size, "height": size})
            ground = "#0e5a60" if share < 1 else "transparent"
            page.set_content(
                f"<style>body{{margin:0;background:{ground};display:grid;place-items:center;"
                f"height:100vh}}svg{{width:{share * 100}%;height:{share * 100}%}}</style>{mark}"
            )
            page.screenshot(path=IMAGES / f"{name}.png", omit_background=True)
            page.close()
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
