"""Remakes the READMEs' picture of the console on a real mesh: `python -m tools.screenshot` (part of `make docs`).

Bookinfo with its visitors, half of the reviews' traffic on v3, and one edge open.
"""

import subprocess
import sys
import time

from tests.browser.conftest import system_chromium
from tools.transcript import MESHWRIGHT, NETWORKING, ROOT, demo

PICTURE = ROOT / "docs" / "images" / "console.png"
PORT_BASE = 38180
TRAFFIC_SECONDS = 40
EDGE = "default/productpage-v1>default/reviews-v3>reviews.default.svc.cluster.local>http"
FILES = ("destination-rule-reviews.yaml", "virtual-service-reviews-50-v3.yaml")


def main() -> int:
    """Take it."""
    with demo(PORT_BASE) as data, system_chromium() as browser:
        files = [word for name in FILES for word in ("-f", f"{NETWORKING}/{name}")]
        subprocess.run([str(MESHWRIGHT), "apply", "--data", str(data), *files], check=True, cwd=ROOT)
        said = subprocess.run(
            [str(MESHWRIGHT), "dashboard", "--data", str(data)], check=True, capture_output=True, text=True
        )
        time.sleep(TRAFFIC_SECONDS)
        page = browser.new_page(viewport={"width": 1760, "height": 900}, locale="en-US", color_scheme="light")
        page.goto(said.stdout.strip())
        page.wait_for_selector(f"[data-label='{EDGE}'] text")
        page.locator(f"[data-label='{EDGE}']").click()
        page.wait_for_timeout(3000)
        PICTURE.parent.mkdir(exist_ok=True)
        page.screenshot(path=PICTURE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
