"""The page, as a person uses it: on a real mesh, in a real browser."""

import json
import os
import re
import signal
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Console, address_of, english, new_page, origin_of, violations, visit, wait
from tests.live.mesh import Mesh

GATEWAY = "istio-system/istio-ingressgateway"
PRODUCTPAGE = f"{GATEWAY}>default/productpage-v1>productpage.default.svc.cluster.local>http"
DETAILS = "default/productpage-v1>default/details-v1>details.default.svc.cluster.local>http"
DETAILS_OF_NOBODY = "default/productpage-v1>details.default.svc.cluster.local>details.default.svc.cluster.local>http"
RATINGS_OF_DETAILS = "default/details-v1>default/ratings-v1>ratings.default.svc.cluster.local>http"
FETCH = """
import sys, urllib.request, urllib.error
for _ in range(int(sys.argv[2])):
    try:
        urllib.request.urlopen(sys.argv[1]).read()
    except urllib.error.HTTPError as error:
        error.read()
"""
TEAPOT = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: details
  namespace: default
spec:
  hosts: [details]
  http:
  - fault:
      abort:
        httpStatus: 418
        percentage:
          value: 100
    route:
    - destination:
        host: details
"""


def edge(name: str) -> str:
    """The selector of an edge in the graph."""
    return f"[data-edge='{name}']"


def count_of(page: Page, name: str) -> int:
    found = page.locator(edge(name))
    return int(found.get_attribute("data-count") or "0") if found.count() else 0


def open_edge(page: Page, name: str) -> None:
    page.wait_for_selector(f"[data-label='{name}'] text")
    page.locator(f"[data-label='{name}']").click()
    expect(page.locator("#requests > tr").first).to_be_visible()


def details_status(mesh: Mesh) -> int:
    """What productpage gets from details, asked inside its pod."""
    program = "import sys,urllib.request as u\ntry: print(u.urlopen('http://details:9080/details/0').status)\n"
    program += "except u.HTTPError as e: print(e.code)"
    return int(mesh.exec("deploy/productpage-v1.default", sys.executable, "-c", program).stdout)


# ------------------------------------------------------------ the graph


def test_the_graph_shows_services_versions_and_calls(console: Console, bookinfo: Mesh) -> None:
    page = console.page
    visit(bookinfo, 12)
    boxes = {GATEWAY, "default/productpage", "default/details", "default/reviews", "default/ratings"}
    for box in boxes:
        expect(page.locator(f"[data-box='{box}']")).to_be_attached()
    for version in ("v1", "v2", "v3"):
        row = page.locator(f"[data-box='default/reviews'] [data-node='default/reviews-{version}']")
        expect(row).to_have_text(version)
    for version in ("v2", "v3"):
        name = f"default/reviews-{version}>default/ratings-v1>ratings.default.svc.cluster.local>http"
        expect(page.locator(edge(name))).to_be_attached()
    words = page.locator(edge(PRODUCTPAGE)).get_attribute("aria-label") or ""
    assert words.startswith("istio-ingressgateway to productpage v1: ")
    assert "0% errors" in words
    assert "mutual TLS" in words
    expect(page.locator(f"[data-label='{PRODUCTPAGE}'] .lock")).to_be_visible()


def test_boxes_stay_where_they_are_while_traffic_changes(console: Console, bookinfo: Mesh) -> None:
    page = console.page
    places = "[...document.querySelectorAll('.box')].map(b => [b.dataset.box, b.style.transform])"
    known: dict[str, str] = dict(page.evaluate(places))
    for _ in range(3):
        visit(bookinfo, 4)
        page.wait_for_timeout(500)
        now: dict[str, str] = dict(page.evaluate(places))
        assert {name: now[name] for name in known if "reviews" not in name} == {
            name: place for name, place in known.items() if "reviews" not in name
        }


def test_counts_equal_what_was_sent(console: Console, bookinfo: Mesh) -> None:
    page = console.page
    for path, times in (("/ratings/0", 37), ("/nothing-here", 5)):
        url = f"http://ratings:9080{path}"
        bookinfo.exec("deploy/details-v1.default", sys.executable, "-c", FETCH, url, str(times))
    wait(page, lambda: count_of(page, RATINGS_OF_DETAILS) == 42, "42 requests on the edge")
    open_edge(page, RATINGS_OF_DETAILS)
    expect(page.locator("#panel-count")).to_contain_text("42 requests")
    rows = page.locator("#codes > tr").all_inner_texts()
    assert sorted(" ".join(row.split()[:2]) for row in rows) == ["200 37", "404 5"]
    page.click("#show-table")
    row = page.locator(f"[data-row='{RATINGS_OF_DETAILS}']")
    expect(row).to_contain_text("details v1")
    expect(row).to_contain_text("mutual TLS")


def test_the_table_sorts(console: Console) -> None:
    page = console.page
    page.click("#show-table")
    page.click("thead button:has-text('To')")
    expect(page.locator("th[aria-sort='ascending']")).to_contain_text("To")
    names = page.locator("#table tbody tr td:nth-child(2)").all_inner_texts()
    assert names == sorted(names)
    page.click("thead button:has-text('To')")
    assert page.locator("#table tbody tr td:nth-child(2)").all_inner_texts() == sorted(names, reverse=True)


# ------------------------------------------------------------ one edge


def test_requests_and_why_they_went_there(console: Console) -> None:
    page = console.page
    open_edge(page, PRODUCTPAGE)
    expect(page.locator("#panel-title")).to_have_text("istio-ingressgateway → productpage v1")
    first = page.locator("#requests > tr").first
    expect(first).to_contain_text("GET /productpage")
    expect(first).to_contain_text("200")
    first.get_by_role("button").click()
    steps = page.locator(".steps li")
    expect(steps.first).to_contain_text("Gateway default/bookinfo-gateway spec.servers[0]")
    expect(page.locator(".steps")).to_contain_text("VirtualService default/bookinfo spec.http[0].match[0]")


# ------------------------------------------------------------ changes


def test_a_change_appears_with_its_receipt_and_is_undone_by_a_click(console: Console, bookinfo: Mesh) -> None:
    page = console.page
    assert details_status(bookinfo) == 200
    bookinfo.run("apply", "-f", "-", stdin=TEAPOT)
    try:
        change = page.locator(".change-list > li").first
        expect(change).to_contain_text("VirtualService default/details")
        expect(change.locator(".receipt")).to_contain_text("proxies in")
        number = int(change.get_attribute("data-change") or "0")
        change.get_by_role("button", name="Diff").click()
        expect(change.locator(".diff")).to_contain_text("spec.http[0].fault.abort.httpStatus")
        expect(change.locator(".diff")).to_contain_text("418")

        assert details_status(bookinfo) == 418
        name = DETAILS_OF_NOBODY
        wait(page, lambda: count_of(page, name) > 0, "the aborted request is on the graph, at the service's box")
        open_edge(page, name)
        expect(page.locator("#codes")).to_contain_text("answered by a fault rule")
        page.locator("#requests > tr").first.get_by_role("button").click()
        expect(page.locator(".steps")).to_contain_text("spec.http[0].fault")

        change.get_by_role("button", name="Undo").click()
        expect(page.locator("#undo")).to_contain_text("VirtualService default/details")
        page.click("#undo-no")
        assert details_status(bookinfo) == 418
        change.get_by_role("button", name="Undo").click()
        page.click("#undo-yes")
        newest = page.locator(".change-list > li").first
        expect(newest).to_contain_text(f"undo {number}")
        expect(newest.locator(".receipt")).to_contain_text("proxies in")
        assert details_status(bookinfo) == 200
    finally:
        bookinfo.run("delete", "virtualservice", "details", check=False)


# ------------------------------------------------------------ for everybody


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(chromium: Browser, bookinfo: Mesh, scheme: str) -> None:
    visit(bookinfo, 4)
    made = new_page(chromium, color_scheme=scheme)
    page = made.page
    try:
        page.goto(address_of(bookinfo))
        page.wait_for_selector(f"[data-label='{PRODUCTPAGE}'] rect")
        page.locator(".change-list").get_by_role("button", name="Diff").first.click()
        expect(page.locator(".diff").first).to_be_visible()
        assert violations(page) == []
        open_edge(page, PRODUCTPAGE)
        page.locator("#requests > tr").first.get_by_role("button").click()
        expect(page.locator(".steps li").first).to_be_visible()
        assert violations(page) == []
        for language, table in (("en", False), ("zh", False), ("zh", True)):
            page.select_option("#language", language)
            page.click("#show-table" if table else "#show-graph")
            assert violations(page) == []
        assert made.complaints == []
    finally:
        page.context.close()


def test_themes(console: Console) -> None:
    page = console.page
    colour = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(colour)
    page.select_option("#theme", "dark")
    assert page.evaluate(colour) != light
    page.reload()
    assert page.evaluate(colour) != light
    page.select_option("#theme", "light")
    assert page.evaluate(colour) == light


def test_chinese(chromium: Browser, bookinfo: Mesh) -> None:
    visit(bookinfo, 4)
    made = new_page(chromium, locale="zh-CN")
    page = made.page
    try:
        page.goto(address_of(bookinfo))
        page.wait_for_selector(f"[data-label='{PRODUCTPAGE}'] rect")
        assert page.evaluate("document.documentElement.lang") == "zh-CN"
        expect(page.locator("#live")).to_have_text("实时")
        open_edge(page, PRODUCTPAGE)
        expect(page.locator("#panel")).to_contain_text("最近的请求")
        expect(page.locator("#panel")).to_contain_text("双向 TLS")
        page.locator("#requests > tr").first.get_by_role("button").click()
        expect(page.locator(".steps")).to_contain_text("全部条件成立")
        for button in page.locator(".change-list").get_by_role("button", name="差异").all():
            button.click()
        expect(page.locator(".diff").first).to_be_visible()
        page.locator(".change-list").get_by_role("button", name="撤销").first.click()
        assert english(page) == []
        page.keyboard.press("Escape")
        page.select_option("#language", "en")
        expect(page.locator("#panel")).to_contain_text("Last requests")
        assert made.complaints == []
    finally:
        page.context.close()


def test_keyboard_alone(console: Console) -> None:
    page = console.page

    def tab_to(selector: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("s => document.activeElement.matches(s)", selector):
                return
        pytest.fail(f"no way by Tab to {selector}")

    tab_to(edge(PRODUCTPAGE))
    page.keyboard.press("Enter")
    expect(page.locator("#panel-title")).to_be_focused()
    expect(page.locator("#requests > tr").first).to_be_visible()
    tab_to("#requests button")
    page.keyboard.press("Enter")
    expect(page.locator(".steps li").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#panel")).to_be_hidden()
    expect(page.locator(edge(PRODUCTPAGE))).to_be_focused()
    tab_to(".change-list button[aria-label^='Undo']")
    page.keyboard.press("Enter")
    expect(page.locator("#undo-no")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#undo")).to_be_hidden()


# ------------------------------------------------------------ when things break


def test_a_killed_worker_comes_back_and_the_page_with_it(chromium: Browser, bookinfo: Mesh) -> None:
    visit(bookinfo, 4)
    made = new_page(chromium)
    page = made.page
    try:
        page.goto(address_of(bookinfo))
        page.wait_for_selector(f"[data-label='{PRODUCTPAGE}'] rect")
        expect(page.locator("#live")).to_have_text("Live")
        state = json.loads((bookinfo.data / "run" / "supervisor.json").read_text())
        page.evaluate(
            "window.said = []; const live = document.getElementById('live');"
            "new MutationObserver(() => said.push(live.dataset.state)).observe(live, {attributes: true})"
        )
        os.kill(state["children"]["telemetry"]["pid"], signal.SIGKILL)
        wait(page, lambda: page.evaluate("said.includes('lost') && said.at(-1) === 'live'"), "lost, and live again")
        page.wait_for_timeout(2500)  # the new worker begins with what the proxies have counted at its first look
        visit(bookinfo, 5)
        wait(page, lambda: count_of(page, PRODUCTPAGE) >= 5, "new traffic is shown")
        open_edge(page, PRODUCTPAGE)
        alien = [each for each in made.complaints if "Failed to load resource" not in each and "ERR_" not in each]
        assert alien == []
    finally:
        page.context.close()


def test_a_stopped_worker_is_no_live_picture(chromium: Browser, bookinfo: Mesh) -> None:
    """Stopped, not dead: the connection stays open and nothing comes."""
    visit(bookinfo, 4)
    made = new_page(chromium)
    page = made.page
    worker = json.loads((bookinfo.data / "run" / "supervisor.json").read_text())["children"]["telemetry"]["pid"]
    try:
        page.goto(address_of(bookinfo))
        page.wait_for_selector(f"[data-label='{PRODUCTPAGE}'] rect")
        expect(page.locator("#live")).to_have_text("Live")
        os.kill(worker, signal.SIGSTOP)
        try:
            expect(page.locator("#live")).to_have_text("Connection lost")
            expect(page.locator("#notice")).to_contain_text("what you see is from then")
            expect(page.locator("#work")).to_have_class(re.compile("stale"))
        finally:
            os.kill(worker, signal.SIGCONT)
        expect(page.locator("#live")).to_have_text("Live")
        visit(bookinfo, 5)
        wait(page, lambda: count_of(page, PRODUCTPAGE) >= 5, "new traffic is shown")
    finally:
        page.context.close()


def test_a_stopped_control_plane_is_told_and_the_graph_goes_on(console: Console, bookinfo: Mesh) -> None:
    page = console.page
    plane = json.loads((bookinfo.data / "run" / "supervisor.json").read_text())["children"]["control-plane"]["pid"]
    os.kill(plane, signal.SIGSTOP)
    try:
        expect(page.locator("#notice")).to_contain_text("The control plane does not answer")
        expect(page.locator("#live")).to_have_text("Live")
        before = count_of(page, PRODUCTPAGE)

        def grown() -> bool:
            """Visits go on meanwhile: those before fall out of the picture's last 30 s."""
            visit(bookinfo, 1)
            return count_of(page, PRODUCTPAGE) >= before + 5

        wait(page, grown, "new traffic is shown")
    finally:
        os.kill(plane, signal.SIGCONT)
    expect(page.locator("#notice")).to_be_empty()


@pytest.mark.parametrize("typed", ["the token", "the whole address"])
def test_log_in_by_hand(chromium: Browser, bookinfo: Mesh, typed: str) -> None:
    visit(bookinfo, 2)
    token = (Path(bookinfo.data) / "console-token").read_text().strip()
    made = new_page(chromium)
    page = made.page
    try:
        page.goto(origin_of(bookinfo))
        expect(page.locator("#login")).to_be_visible()
        page.fill("#token", "not-the-token")
        page.click("#login button")
        expect(page.locator("#login-error")).to_contain_text("not the token")
        page.fill("#token", token if typed == "the token" else address_of(bookinfo))
        page.click("#login button")
        expect(page.locator("#work")).to_be_visible()
        expect(page.locator("#live")).to_have_text("Live")
        assert "token" not in page.url
    finally:
        page.context.close()
