"""One mesh with Bookinfo and one Chromium for all tests of the page."""

import http.client
import re
import shutil
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.browser.values import Values, served
from tests.live.mesh import Mesh, own_mesh

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()
NAMES = ("chromium", "chromium-browser", "google-chrome")
HANG = 20_000  # ms after which an expectation is given up; a guard, not a measurement
expect.set_options(timeout=HANG)


@dataclass
class Console:
    """A page of the console in its own browser profile, and what the browser complained about."""

    page: Page
    complaints: list[str] = field(default_factory=list[str])

    def note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)


@contextmanager
def system_chromium() -> Generator[Browser]:
    """The system's Chromium. Without it tests fail and say how to install it."""
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    if found is None:
        pytest.fail("no Chromium on this machine: sudo apt-get install -y chromium", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Not for longer than a module: as long as Playwright runs, the main thread has an event loop of its own, and no
    other test can start one.
    """
    with system_chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def bookinfo() -> Iterator[Mesh]:
    """Bookinfo without visitors: all traffic is the tests' own."""
    with own_mesh() as made:
        made.up([], profile="demo")
        yield made


def address_of(mesh: Mesh) -> str:
    """What `meshwright dashboard` prints."""
    return mesh.run("dashboard").stdout.strip()


def visit(mesh: Mesh, times: int, path: str = "/productpage") -> list[int]:
    """Requests through the gateway; the answers' codes."""
    codes: list[int] = []
    for _ in range(times):
        connection = http.client.HTTPConnection("localhost", mesh.host_port, timeout=10)
        connection.request("GET", path)
        codes.append(connection.getresponse().status)
        connection.close()
    return codes


def new_page(chromium: Browser, **settings: str) -> Console:
    """An empty page; settings as of a browser's context (locale, color_scheme)."""
    context = chromium.new_context(
        locale=settings.get("locale", "en-US"),
        color_scheme="dark" if settings.get("color_scheme") == "dark" else "light",
        viewport={"width": 1440, "height": 1000},
    )
    page = context.new_page()
    page.set_default_timeout(HANG)
    console = Console(page)
    page.on("console", console.note)
    page.on("pageerror", lambda error: console.complaints.append(str(error)))
    return console


@pytest.fixture
def console(chromium: Browser, bookinfo: Mesh) -> Iterator[Console]:
    """Logged in, with the graph of fresh traffic; afterwards nothing may have been complained about."""
    assert visit(bookinfo, 6) == [200] * 6
    made = new_page(chromium)
    try:
        made.page.goto(address_of(bookinfo))
        made.page.wait_for_selector(f"[data-label*='>{HOST}'] rect")
        yield made
    finally:
        made.page.context.close()
    assert made.complaints == []


def wait(page: Page, claim: Callable[[], bool], what: str) -> None:
    """Until a claim holds, while the page goes on."""
    end = time.monotonic() + HANG / 1000
    while not claim():
        assert time.monotonic() < end, what
        page.wait_for_timeout(100)


def violations(page: Page) -> list[str]:
    """What axe says against the page as it is now; it must have found enough to look at."""
    page.evaluate(AXE)
    found = page.evaluate("axe.run().then(r => ({passes: r.passes.length, violations: r.violations}))")
    assert found["passes"] > 20
    return [f"{each['id']}: {node['html']}" for each in found["violations"] for node in each["nodes"]]


def english(page: Page) -> list[str]:
    """Three English words in a row that a page in another language shows or reads out; code does not count."""
    texts: list[str] = page.evaluate(TEXTS)
    return [text for text in texts if re.search(r"\b[A-Za-z]?[a-z']+[,:;]? [a-z']+[,:;]? [a-z']+\b", text)]


TEXTS = """() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const here = walker.currentNode.parentElement;
    if (!here.closest("code, pre, script, [hidden]")) found.push(walker.currentNode.textContent.trim());
  }
  for (const each of document.querySelectorAll("[title], [aria-label]")) {
    if (!each.closest("[hidden]")) found.push(each.getAttribute("title"), each.getAttribute("aria-label"));
  }
  return found.filter(Boolean);
}"""
HOST = "productpage.default.svc.cluster.local"


def origin_of(mesh: Mesh) -> str:
    """The console's address without the token."""
    return f"http://{urlsplit(address_of(mesh)).netloc}/"


@pytest.fixture
def values() -> Iterator[Values]:
    with served() as made:
        yield made


@pytest.fixture
def small(chromium: Browser) -> Iterator[Console]:
    """A page of its own, empty."""
    made = new_page(chromium)
    try:
        yield made
    finally:
        made.page.context.close()
