"""A newcomer with nothing but README.md: its own commands, and on the page what it says is seen there.

Commands, promises and the names of what is clicked come from README.md; whoever changes it there changes this test.
All that was typed and printed, with times, stands in `newcomer.txt` of the test's folder and on the output (`-s`).
"""

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Console, new_page, system_chromium
from tests.live.mesh import PLACE, free_port
from tools.transcript import PAGES, ROOT, block_of, steps

README = (ROOT / PAGES[0]).read_text()
PORTS, HIGHEST_BASE = 5, 65000  # of one mesh, from PORT_BASE on
LAG = 5  # seconds after which every visit is on the page
WINDOW = 30  # seconds over which the page counts
LONG = 90.0  # seconds after which a promise of the page is given up
SHARE = 0.05
FEW, REST = 25, 30  # visits that are counted exactly, and for how many seconds nobody comes then
MANY = 100  # of 150 visits in the window: enough to see a half
HOME, COUNTS, REST_PATH = "http://127.0.0.1:8090", "/counts", f"/rest?seconds={REST}"
ASK = """
import sys, urllib.request
print(urllib.request.urlopen(urllib.request.Request(sys.argv[2], method=sys.argv[1])).read().decode())
"""

GATEWAY = "istio-system/istio-ingressgateway"
BOXES = {
    "visitors/visitors",
    GATEWAY,
    *(f"default/{name}" for name in ("productpage", "details", "reviews", "ratings")),
}


def edge(source: str, destination: str, service: str = "") -> str:
    """The id of a line: both ends are workloads of namespace default, if they do not say otherwise."""
    ends = [name if "/" in name or "." in name else f"default/{name}" for name in (source, destination)]
    host = service or f"{destination.partition('-')[0]}.default.svc.cluster.local"
    return f"{ends[0]}>{ends[1]}>{host}>http"


DETAILS = "details.default.svc.cluster.local"
VISITORS = edge("visitors/visitors", GATEWAY, "istio-ingressgateway.istio-system.svc.cluster.local")
PRODUCTPAGE = edge(GATEWAY, "productpage-v1")
TO_DETAILS, TO_NOBODY = edge("productpage-v1", "details-v1"), edge("productpage-v1", DETAILS, DETAILS)
REVIEWS = {version: edge("productpage-v1", f"reviews-{version}") for version in ("v1", "v2", "v3")}
RATINGS = {version: edge(f"reviews-{version}", "ratings-v1") for version in ("v2", "v3")}


# ------------------------------------------------------------ what README says


def promises() -> list[str]:
    """What is seen on the page after each of the first steps."""
    text = README.partition("<!-- end -->")[2].partition("With kubectl")[0]
    items = re.findall(r"^\d\. (.*?)(?=^\d\. |^$)", text, re.MULTILINE | re.DOTALL)
    return [" ".join(item.partition("On the page:")[2].split()) for item in items]


def taken_back() -> str:
    """How the mistake is taken back."""
    return " ".join(README[README.index("Now take the mistake back") :].partition("\n\n")[0].split())


def commands_of(heading: str) -> list[str]:
    """The commands of the first block below a heading."""
    return README.partition(f"## {heading}")[2].split("```")[1].split("\n")[1:-1]


def alias() -> str:
    [found] = re.findall(r"`(alias mw=[^`]+)`", README)
    return found


# ------------------------------------------------------------ the newcomer


@dataclass
class Newcomer:
    """Types commands in the folder of the sources, and writes down what they print."""

    data: Path
    log: Path
    began: float = field(default_factory=time.monotonic)

    def note(self, line: str) -> None:
        """One line of the transcript, with the seconds since the beginning."""
        told = f"[{time.monotonic() - self.began:6.1f} s] {line}"
        print(told)
        with self.log.open("a") as file:
            file.write(told + "\n")

    def types(self, command: str, *, fine: bool = True) -> str:
        """What a command prints, typed as it stands in the README."""
        self.note(f"$ {command}")
        began = time.monotonic()
        done = subprocess.run(
            ["bash", "-c", f"shopt -s expand_aliases\n{alias()}\n{command}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            cwd=ROOT,
            env={**os.environ, "MESHWRIGHT_DATA": str(self.data)},
            timeout=240,
        )
        self.note(f"exit code {done.returncode} after {time.monotonic() - began:.1f} s\n{done.stdout.rstrip()}\n")
        assert done.returncode == 0 or not fine, done.stdout
        return done.stdout

    def ask_visitors(self, path: str = COUNTS) -> dict[str, Any]:
        """The visitors' own counts, asked inside their pod; none of their answers is anything but 200."""
        method = "GET" if path == COUNTS else "POST"
        words = [".venv/bin/meshwright", "exec", "--data", str(self.data), "deploy/visitors.visitors", "--"]
        words += ["python3", "-c", ASK, method, HOME + path]
        done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT, timeout=60)
        said: dict[str, Any] = json.loads(done.stdout)
        assert set(said["answers"]) <= {"200"}
        return said


def free_ports() -> int:
    """The first of five ports in a row that nobody has."""
    while True:
        base = free_port()
        try:
            for port in range(base, base + PORTS):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        if base <= HIGHEST_BASE:
            return base


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    """Somebody who has cloned the sources; what they started is stopped."""
    folder = Path(tempfile.mkdtemp(prefix="mwn", dir=PLACE))
    made = Newcomer(folder / "mesh", tmp_path / "newcomer.txt")
    try:
        yield made
    finally:
        made.types("make down", fine=False)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def console() -> Iterator[Console]:
    with system_chromium() as browser:
        yield new_page(browser)


# ------------------------------------------------------------ what the page shows


def value(page: Page, name: str, what: str) -> float:
    """`data-count` or `data-rps` of a line; 0 where there is none."""
    found = page.locator(f"[data-edge='{name}']")
    return float(found.get_attribute(f"data-{what}") or "0") if found.count() else 0.0


def counts(page: Page, names: dict[str, str]) -> dict[str, int]:
    return {key: round(value(page, name, "count")) for key, name in names.items()}


def colour(page: Page, name: str) -> str:
    """What a person sees: red, green or grey."""
    wire = page.locator(f"[data-edge='{name}'] .wire")
    if wire.count() == 0:
        return "absent"
    numbers = re.findall(r"[\d.]+", wire.evaluate("each => getComputedStyle(each).stroke"))
    red, green, blue = (float(number) for number in numbers[:3])
    if red > 1.5 * max(green, blue):
        return "red"
    return "green" if green > 1.5 * max(red, blue) else "grey"


def until(page: Page, claim: Callable[[], bool], what: Callable[[], object]) -> None:
    """Until a claim about the page holds."""
    end = time.monotonic() + LONG
    while not claim():
        assert time.monotonic() < end, what()
        page.wait_for_timeout(250)


def newest_change(page: Page) -> Locator:
    expect(page.get_by_role("heading", name="Last changes")).to_be_visible()
    return page.locator(".change-list > li").first


# ------------------------------------------------------------ the test


def sees_the_traffic(newcomer: Newcomer, page: Page) -> None:
    """Boxes and lines of the demo; the counts of all lines are the visitors' own, and so are the rates."""
    everything = [VISITORS, PRODUCTPAGE, TO_DETAILS, *REVIEWS.values(), *RATINGS.values()]
    until(page, lambda: all(value(page, name, "count") for name in everything), lambda: everything)
    boxes: list[str] = page.evaluate("[...document.querySelectorAll('[data-box]')].map(each => each.dataset.box)")
    lines: list[str] = page.evaluate("[...document.querySelectorAll('[data-edge]')].map(each => each.dataset.edge)")
    assert (set(boxes), set(lines)) == (BOXES, set(everything))
    assert {colour(page, name) for name in everything} == {"green"}
    newcomer.note(f"on the page: {len(boxes)} services, {len(lines)} lines, all of them green")

    switch = page.get_by_role("switch", name="Visitors")
    switch.click()
    expect(newest_change(page)).to_contain_text("visitors off")
    until(page, lambda: not any(value(page, name, "count") for name in everything), lambda: "no line counts any more")
    expect(switch).to_have_attribute("aria-checked", "false")
    switch.click()
    expect(newest_change(page)).to_contain_text("visitors on")
    until(page, lambda: value(page, VISITORS, "count") >= FEW, lambda: f"{FEW} visits are counted")
    visits = newcomer.ask_visitors(REST_PATH)["visits"]
    counted_exactly(page, visits)
    page.wait_for_timeout(LAG * 1000)  # and no more than that
    counted_exactly(page, visits)
    newcomer.note(f"counted by the visitors: {visits} visits; on the page: the same on every line")

    until(page, lambda: value(page, VISITORS, "count") > visits, lambda: "visitors come again")
    page.wait_for_timeout(LAG * 1000)
    first, began = newcomer.ask_visitors()["visits"], time.monotonic()
    page.wait_for_timeout((WINDOW + LAG) * 1000)
    last, ended = newcomer.ask_visitors()["visits"], time.monotonic()
    rate = (last - first) / (ended - began)
    rates = {name: value(page, name, "rps") for name in (VISITORS, PRODUCTPAGE, TO_DETAILS)}
    rates["reviews"] = sum(value(page, name, "rps") for name in REVIEWS.values())
    newcomer.note(f"counted by the visitors: {rate:.2f} a second; on the page: {sorted(set(rates.values()))}")
    assert rates == {name: pytest.approx(rate, rel=SHARE) for name in rates}


def counted_exactly(page: Page, visits: int) -> None:
    """One call of the gateway, of productpage, of details and of reviews for each visit; v2 and v3 ask ratings."""

    def wrong() -> dict[str, Any]:
        reviews, ratings = counts(page, REVIEWS), counts(page, RATINGS)
        straight = {name: round(value(page, name, "count")) for name in (VISITORS, PRODUCTPAGE, TO_DETAILS)}
        found = {**straight, "reviews": sum(reviews.values())}
        found = {name: count for name, count in found.items() if count != visits}
        return {**found, **({"ratings": ratings} if ratings != {key: reviews[key] for key in ratings} else {})}

    until(page, lambda: not wrong(), lambda: f"{visits} visits, and {wrong()}")


def lines_turn_grey(page: Page, _: str) -> None:
    grey = [REVIEWS["v1"], REVIEWS["v2"]]
    until(page, lambda: {colour(page, name) for name in grey} == {"grey"}, lambda: counts(page, REVIEWS))
    until(
        page,
        lambda: abs(value(page, REVIEWS["v3"], "count") - value(page, PRODUCTPAGE, "count")) <= LAG,
        lambda: counts(page, REVIEWS),
    )
    assert colour(page, REVIEWS["v3"]) == "green"


def each_has_half(page: Page, _: str) -> None:
    def claim() -> bool:
        found = counts(page, REVIEWS)
        both = found["v2"] + found["v3"]
        return found["v1"] == 0 and both >= MANY and abs(found["v2"] - both / 2) < 5 * sqrt(both / 4)

    until(page, claim, lambda: counts(page, REVIEWS))
    assert (colour(page, REVIEWS["v2"]), colour(page, REVIEWS["v1"])) == ("green", "grey")


def line_turns_red(page: Page, _: str) -> None:
    until(page, lambda: colour(page, TO_NOBODY) == "red", lambda: colour(page, TO_NOBODY))
    expect(page.locator(f"[data-label='{TO_NOBODY}']")).to_contain_text("▲ 100%")


def why_is_the_same(page: Page, printed: str) -> None:
    page.locator(f"[data-label='{TO_NOBODY}']").click()
    page.locator("#requests > tr").first.get_by_role("button", name="Why").click()
    expect(page.locator(".steps li").first).to_be_visible()
    places = [each for each in page.locator(".steps .origin").all_inner_texts() if "/" in each]
    assert "spec.http[0].fault" in places[-1]
    assert [each for each in places if each not in printed] == []
    assert "FI: answered by a fault rule" in printed


CHECKS: tuple[tuple[str, Callable[[Page, str], None]], ...] = (
    ("the lines to reviews v1 and v2 turn grey.", lines_turn_grey),
    ("the line to reviews v2 is back, each of the two has about half of the calls.", each_has_half),
    ("the line to details turns red and says ▲ 100%: all are errors.", line_turns_red),
    ("click on the red line, then on *Why?* beside a request.", why_is_the_same),
)


def takes_it_back(newcomer: Newcomer, page: Page) -> None:
    """By two clicks; then everything is as it was before the mistake."""
    number = newest_change(page).get_attribute("data-change")
    newest_change(page).get_by_role("button", name="Undo").click()
    page.click("#undo-yes")
    expect(newest_change(page)).to_contain_text(f"undo {number}")
    expect(newest_change(page).locator(".receipt")).to_contain_text("live on")
    newcomer.note(f"on the page: {' | '.join(newest_change(page).inner_text().split(chr(10)))}")
    until(page, lambda: colour(page, TO_DETAILS) == "green", lambda: colour(page, TO_DETAILS))
    until(page, lambda: colour(page, TO_NOBODY) in {"grey", "absent"}, lambda: colour(page, TO_NOBODY))
    page.wait_for_timeout(LAG * 1000)
    assert value(page, TO_DETAILS, "rps") == pytest.approx(value(page, VISITORS, "rps"), rel=SHARE)
    each_has_half(page, "")


def test_the_readme_has_a_check_for_every_promise() -> None:
    assert promises() == [promise for promise, _ in CHECKS]
    assert len(steps()) == len(CHECKS)
    assert "*Undo* beside the newest of the *Last changes*" in taken_back()
    assert "The line to details is green again." in taken_back()
    assert [
        len(re.findall(rf"^{number}\. ", (ROOT / PAGES[1]).read_text(), re.MULTILINE)) for number in range(1, 6)
    ] == [1, 1, 1, 1, 0]
    assert [line for line in block_of((ROOT / PAGES[1]).read_text()).splitlines() if line.startswith("$ ")] == [
        f"$ {step}" for step in steps()
    ]


@pytest.mark.timeout(600)
def test_a_newcomer_follows_the_readme(newcomer: Newcomer, console: Console) -> None:
    page = console.page
    [start] = commands_of("Start")
    assert f"`{start} PORT_BASE=9080`" in README
    base = free_ports()
    printed = newcomer.types(f"{start} PORT_BASE={base}")
    assert f"Bookinfo: http://localhost:{base}/productpage" in printed
    [address] = re.findall(rf"http://localhost:{base + 3}/#token=\S+", printed)
    page.goto(address)
    sees_the_traffic(newcomer, page)
    for step, (promise, seen) in zip(steps(), CHECKS, strict=True):
        printed = newcomer.types(step)
        began = time.monotonic()
        seen(page, printed)
        newcomer.note(f"on the page after {time.monotonic() - began:.1f} s: {promise}\n")
        page.wait_for_timeout(LAG * 1000)  # somebody who reads
    takes_it_back(newcomer, page)
    newcomer.note(taken_back())
    assert console.complaints == []
