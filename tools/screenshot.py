"""Remakes the READMEs' picture of the console on a real mesh: `python -m tools.screenshot` (part of `make docs`).

The README's first steps, and the edge that fails opened, with the answer why.
"""

import subprocess
import sys

from tests.browser.conftest import system_chromium
from tools.transcript import MESHWRIGHT, PAUSE_SECONDS, ROOT, demo, run_step, steps

PICTURE = ROOT / "docs" / "images" / "console.png"
PORT_BASE = 38180
TRAFFIC_SECONDS = 40
EDGE = "default/productpage-v1>details.default.svc.cluster.local>details.default.svc.cluster.local>http"


def main() -> int:
    """Take it."""
    with demo(PORT_BASE) as data, system_chromium() as browser:
        said = subprocess.run(
            [str(MESHWRIGHT), "dashboard", "--data", str(data)], check=True, capture_output=True, text=True
        )
        page = browser.new_page(viewport={"width": 1760, "height": 1020}, locale="en-US", color_scheme="light")
        page.goto(said.stdout.strip())
        for step in steps()[:-1]:
            page.wait_for_timeout(PAUSE_SECONDS * 1000)
            run_step(step, data)
        page.wait_for_timeout(TRAFFIC_SECONDS * 1000)
        page.wait_for_selector(f"[data-label='{EDGE}'] text")
        page.locator(f"[data-label='{EDGE}']").click()
        page.locator("#requests > tr").first.get_by_role("button").click()
        page.wait_for_selector(".steps li")
        PICTURE.parent.mkdir(exist_ok=True)
        page.screenshot(path=PICTURE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
