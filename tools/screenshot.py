"""Remakes the READMEs' pictures of the console on a real mesh: `python -m tools.screenshot` (part of `make docs`).

The README's first steps, and the edge that fails opened, with the answer why; in the language of each README.
"""

import subprocess
import sys

from playwright.sync_api import Browser, Page

from tests.browser.conftest import system_chromium
from tools.transcript import MESHWRIGHT, PAUSE_SECONDS, ROOT, demo, run_step, steps

PICTURES = {"en-US": "console.png", "zh-CN": "console.zh.png"}
FOLDER = ROOT / "docs" / "images"
PORT_BASE = 38180
TRAFFIC_SECONDS = 40
EDGE = "default/productpage-v1>details.default.svc.cluster.local>details.default.svc.cluster.local>http"


def main() -> int:
    """Take them."""
    with demo(PORT_BASE) as data, system_chromium() as browser:
        said = subprocess.run(
            [str(MESHWRIGHT), "dashboard", "--data", str(data)], check=True, capture_output=True, text=True
        )
        pages = {language: opened(browser, language, said.stdout.strip()) for language in PICTURES}
        first = next(iter(pages.values()))
        for step in steps()[:-1]:
            first.wait_for_timeout(PAUSE_SECONDS * 1000)
            run_step(step, data)
        first.wait_for_timeout(TRAFFIC_SECONDS * 1000)
        FOLDER.mkdir(exist_ok=True)
        for language, page in pages.items():
            page.wait_for_selector(f"[data-label='{EDGE}'] text")
            page.locator(f"[data-label='{EDGE}']").click()
            page.locator("#requests > tr").first.get_by_role("button").click()
            page.wait_for_selector(".steps li")
            page.screenshot(path=FOLDER / PICTURES[language])
    return 0


def opened(browser: Browser, language: str, address: str) -> Page:
    """The console in a window of its own, logged in."""
    page = browser.new_page(viewport={"width": 1760, "height": 1020}, locale=language, color_scheme="light")
    page.goto(address)
    return page


if __name__ == "__main__":
    sys.exit(main())
