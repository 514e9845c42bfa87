"""The graph: what stands where, what can be read, and what stays where it is."""

import random
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Console, new_page, wait
from tests.browser.values import Json, Values, edge, graph, node

GATEWAY = "istio-system/istio-ingressgateway"
EGRESS = "istio-system/istio-egressgateway"
PAGE = "default/productpage-v1"
REVIEWS = [f"default/reviews-v{number}" for number in (1, 2, 3)]
BOOKINFO = graph(
    [
        node("visitors/visitors"),
        node(GATEWAY, "gateway"),
        node(PAGE),
        *(node(name, version=name[-2:]) for name in REVIEWS),
        node("default/details-v1"),
        node("default/ratings-v1"),
    ],
    [
        edge("visitors/visitors", GATEWAY, "istio-ingressgateway.istio-system.svc.cluster.local", mtls_share=0.0),
        edge(GATEWAY, PAGE, p95_ms=1234.5),
        *(edge(PAGE, name, error_share=0.3) for name in REVIEWS),
        edge(PAGE, "default/details-v1"),
        *(edge(name, "default/ratings-v1", rps=1234.5) for name in REVIEWS[1:]),
    ],
)
RECTS = """
() => {
  const rect = (each) => (({left, top, right, bottom}) => [left, top, right, bottom])(each.getBoundingClientRect());
  const all = (found) => [...document.querySelectorAll(found)].map(rect);
  return {boxes: all('.box .frame'), labels: all('.label > rect'), holder: rect(document.querySelector('#graph'))};
}
"""
PLACES = "Object.fromEntries([...document.querySelectorAll('.box')].map(b => [b.dataset.box, b.style.transform]))"
OUTGROWN = """
[...document.querySelectorAll('.box')].flatMap(box => {
  const frame = box.querySelector('.frame').getBoundingClientRect();
  return [...box.querySelectorAll('text')].filter(each => each.getBoundingClientRect().right > frame.right)
    .map(each => each.textContent);
})
"""
LABEL_ROOM = """
[...document.querySelectorAll('.label')].flatMap(label => {
  const frame = label.querySelector('rect').getBoundingClientRect();
  return [...label.querySelectorAll('text')].map(each => each.getBoundingClientRect())
    .filter(each => each.left < frame.left || each.right > frame.right).map(() => label.dataset.label);
})
"""


def opened(console: Console, values: Values, told: Json, width: int = 1440) -> Page:
    """The page with the graph `told`."""
    values.graph = told
    page = console.page
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(values.url)
    page.wait_for_selector(".box .frame")
    return page


def told_again(page: Page, values: Values, told: Json) -> None:
    """Until the page has drawn another graph."""
    values.graph = told
    values.tell()
    shown = {each["id"] for each in told["edges"]}
    drawn = "[...document.querySelectorAll('[data-edge]')].map(e => e.dataset.edge)"
    wait(page, lambda: shown <= set(page.evaluate(drawn)), "the new lines are drawn")
    page.wait_for_timeout(100)


def crowd(services: int, calls: int) -> Json:
    """A mesh too large for labels."""
    dice = random.Random(7)
    names = [f"shop/service{number:02}-v1" for number in range(services)]
    edges: dict[str, Json] = {}
    while len(edges) < calls:
        first, second = sorted(dice.sample(range(services), 2))
        made = edge(names[first], names[second], error_share=dice.choice([0.0, 0.0, 0.2]))
        edges[made["id"]] = made
    return graph([node(name) for name in names], list(edges.values()))


def covered(one: list[float], other: list[float]) -> float:
    """Square pixels that two rectangles share."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, wide) * max(0.0, high)


@pytest.mark.parametrize(("width", "locale"), [(1440, "zh-CN"), (1024, "en-US")])
def test_labels_cover_nothing_and_all_of_it_is_seen(
    chromium: Browser, values: Values, width: int, locale: str
) -> None:
    made = new_page(chromium, locale=locale)
    try:
        page = opened(made, values, BOOKINFO, width)
        for panel in (False, True):
            if panel:
                page.locator(f"[data-label*='>{PAGE}']").click()
                expect(page.locator("#panel")).to_be_visible()
            found: dict[str, Any] = page.evaluate(RECTS)
            labels, boxes = found["labels"], found["boxes"]
            assert len(labels) == len(BOOKINFO["edges"])
            assert [(a, b) for a in labels for b in boxes if covered(a, b) > 1] == []
            assert [(a, b) for a in labels for b in labels if a is not b and covered(a, b) > 1] == []
            left, _, right, _ = found["holder"]
            assert all(left <= each[0] and each[2] <= right for each in boxes)
            assert page.evaluate(LABEL_ROOM) == []
        assert made.complaints == []
    finally:
        made.page.context.close()


def test_long_names_stay_in_their_boxes(small: Console, values: Values) -> None:
    namespace, app, version = (
        "team-payments-and-settlements",
        "recommendation-engine-of-the-homepage",
        "v2026-11-21-fix",
    )
    name = f"{namespace}/{app}-{version}"
    host = "abcdefghij.klmnopqrstuvwxyz.eu-central-1.elasticbeanstalk.example.com"
    nodes = [node(name, version=version * 2), node(host, "service"), node(GATEWAY, "gateway")]
    edges = [edge(GATEWAY, name, "r.team.svc.cluster.local"), edge(name, host, host)]
    page = opened(small, values, graph(nodes, edges))
    assert page.evaluate(OUTGROWN) == []
    box = page.locator("[data-box*='recommendation']")
    expect(box.locator(".name")).to_contain_text("…")
    expect(box).to_have_attribute("aria-label", f"{app}, {namespace}, {version * 2}")


def test_boxes_stay_when_others_come_and_go(small: Console, values: Values) -> None:
    page = opened(small, values, BOOKINFO)
    before: dict[str, str] = page.evaluate(PLACES)
    extra = graph(
        [*BOOKINFO["nodes"], node("default/audit-v1"), node("unknown/unknown", "unknown")],
        [*BOOKINFO["edges"], edge(PAGE, "default/audit-v1"), edge("unknown/unknown", "default/details-v1")],
    )
    told_again(page, values, extra)
    now: dict[str, str] = page.evaluate(PLACES)
    moved = {name for name in before if now[name].split(",")[1] != before[name].split(",")[1]}
    assert moved == set()
    without = [each for each in BOOKINFO["edges"] if not each["id"].startswith("visitors")]
    told_again(page, values, graph(BOOKINFO["nodes"][1:], without))
    assert page.evaluate(PLACES) == now


def test_hosts_outside_and_calls_that_reached_nobody(small: Console, values: Values) -> None:
    """What passes an egress gateway is not the gateway's own service; a foreign host is nobody who is missing."""
    host, gone = "www.example.com", "gone.default.svc.cluster.local"
    nodes = [node(PAGE), node(EGRESS, "gateway"), node(host, "service"), node(gone, "service")]
    nodes += [node("unknown/unknown", "unknown"), node("unknown", "unknown")]
    edges = [edge(PAGE, EGRESS, host), edge(EGRESS, host, host, mtls_share=0.0), edge("unknown/unknown", PAGE)]
    edges += [edge(PAGE, gone, gone, error_share=1.0, mtls_share=0.0), edge(PAGE, host, host, "tcp")]
    edges += [edge(PAGE, "unknown", "unknown")]
    page = opened(small, values, graph(nodes, edges))
    expect(page.locator(f"[data-box='{host}'] .under")).to_have_text("outside the mesh")
    expect(page.locator(f"[data-box='{EGRESS}'] .under")).to_have_text("istio-system · gateway")
    expect(page.locator("[data-box='default/gone'] .under")).to_have_text("default · reached nobody")
    expect(page.locator("[data-box='unknown/unknown'] .under")).to_have_text("caller without identity")
    expect(page.locator("[data-box='unknown'] .under")).to_have_text("no known service")
    expect(page.locator(f"[data-label='{edges[0]['id']}'] .lock")).to_be_visible()
    expect(page.locator(f"[data-label='{edges[1]['id']}'] .lock")).to_have_count(0)
    expect(page.locator(f"[data-label='{edges[4]['id']}']")).to_have_text("5 conn/s")


def test_a_crowd_shows_the_numbers_of_what_is_pointed_at(small: Console, values: Values) -> None:
    told = crowd(40, 120)
    page = opened(small, values, told)
    visible = "[...document.querySelectorAll('.label')].filter(e => getComputedStyle(e).display !== 'none').length"
    assert page.evaluate(visible) == 0
    expect(page.locator("#legend")).to_contain_text("point at a line or a service")
    name = "shop/service05"
    own = [each for each in told["edges"] if f"{name}-" in each["source"] + each["destination"]]
    page.locator(f"[data-box='{name}'] .name").hover()
    wait(page, lambda: page.evaluate(visible) == len(own), "the lines of the service have labels")
    labels = page.evaluate(RECTS.replace("'.label > rect'", "'.label.near > rect'"))["labels"]
    assert [(a, b) for a in labels for b in labels if a is not b and covered(a, b) > 1] == []
    page.mouse.move(5, 5)
    wait(page, lambda: page.evaluate(visible) == 0, "none has a label again")
    assert page.locator("[data-edge][tabindex='0']").count() == 0  # 120 stops would be a wall: boxes are stops
    assert small.complaints == []


def test_a_service_opens_with_its_versions_callers_and_calls(small: Console, values: Values) -> None:
    page = opened(small, values, BOOKINFO)
    box = page.locator("[data-box='default/reviews']")
    box.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#service-title")).to_be_focused()
    expect(page.locator("#service")).to_contain_text("reviews.default.svc.cluster.local")
    rows = page.locator("#service-versions > tr")
    expect(rows).to_have_text([f"v{number}5/s30%16 ms33%" for number in (1, 2, 3)])
    expect(page.locator("#service-called > tr")).to_have_count(2)
    first = page.locator("#service-callers > tr").first
    expect(first).to_contain_text("productpage v1 → v1")
    page.keyboard.press("Escape")
    expect(page.locator("#service")).to_be_hidden()
    expect(box).to_be_focused()
    box.locator(".name").click()
    first.get_by_role("button").click()
    expect(page.locator("#panel-title")).to_have_text("productpage v1 → reviews v1")
    expect(page.locator("#service")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(box).to_be_focused()
    assert small.complaints == []
