"""The page that a newcomer opens after `make demo`: the visitors' traffic, as the visitors count it themselves."""

import json
import shutil
import sys
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import HANG, address_of, new_page, system_chromium
from tests.live.mesh import Mesh, new_mesh

GATEWAY = "istio-system/istio-ingressgateway"
VISITORS = f"visitors/visitors>{GATEWAY}>{GATEWAY.partition('/')[2]}.istio-system.svc.cluster.local>http"
PRODUCTPAGE = f"{GATEWAY}>default/productpage-v1>productpage.default.svc.cluster.local>http"
COUNTS = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8090/counts').read().decode())"
WINDOW = 30  # seconds over which the page's rates are
LAG = 5  # seconds after which every visit is on the page
SHARE = 0.05


@pytest.fixture(scope="module")
def demo() -> Iterator[Mesh]:
    made = new_mesh()
    try:
        made.up([], profile="demo", visitors=True)
        yield made
    finally:
        made.run("down", "--purge", check=False)
        shutil.rmtree(made.programs.parent, ignore_errors=True)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with system_chromium() as browser:
        yield browser


def visits(mesh: Mesh) -> tuple[int, float]:
    """How many answers the visitors have had, and when they said so."""
    said = json.loads(mesh.exec("deploy/visitors.visitors", sys.executable, "-c", COUNTS).stdout)
    assert set(said["answers"]) <= {"200"}
    return said["visits"], time.monotonic()


def shown(page: Page, edge: str, what: str) -> float:
    return float(page.locator(f"[data-edge='{edge}']").get_attribute(f"data-{what}") or "nan")


@pytest.mark.timeout(180)
def test_the_page_shows_what_the_visitors_count(chromium: Browser, demo: Mesh) -> None:
    made = new_page(chromium)
    page = made.page
    try:
        page.goto(address_of(demo))
        page.wait_for_selector(f"[data-label='{VISITORS}'] rect")
        page.wait_for_timeout(LAG * 1000)
        first, began = visits(demo)
        page.wait_for_timeout((WINDOW + LAG) * 1000)
        last, ended = visits(demo)
        true_rate = (last - first) / (ended - began)
        for edge in (VISITORS, PRODUCTPAGE):
            assert shown(page, edge, "rps") == pytest.approx(true_rate, rel=SHARE)
            assert shown(page, edge, "count") == pytest.approx(true_rate * WINDOW, rel=SHARE)
        switch = page.get_by_role("switch", name="Visitors")
        expect(switch).to_have_attribute("aria-checked", "true")
        switch.click()
        expect(switch).to_have_attribute("aria-checked", "false", timeout=HANG)
        expect(page.locator(".change-list > li").first).to_contain_text("visitors off", timeout=HANG)
        expect(page.locator(f"[data-edge='{VISITORS}']")).to_have_attribute(
            "data-count", "0", timeout=2 * WINDOW * 1000
        )
        assert made.complaints == []
    finally:
        page.context.close()
