"""What the page shows when there is nothing, when something is away, and when a change does not come through.

The console's own application on a real port, with values that a mesh gives in such moments.
"""

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, expect

from meshwright.wiring.sentences import CHANGES, INSTEAD, WITHHELD
from tests.browser.conftest import Console, english, new_page, violations, wait
from tests.browser.values import Json, Values, change, edge, graph, node

GATEWAY = "istio-system/istio-ingressgateway"
CART = "default/cart-v1"
CALL = edge(GATEWAY, CART)
SMALL = graph([node(GATEWAY, "gateway"), node(CART)], [CALL])


def request(number: int, **values: object) -> Json:
    """A logged request."""
    told: Json = {"id": str(number), "time": f"{1_795_271_220 + number}.5", "upstream": "10.0.0.1:80", "ms": 3}
    return {**told, "method": "GET", "path": f"/{number}", "authority": "cart", "code": "200", "flags": "-", **values}


def test_an_empty_graph_says_how_to_fill_it(small: Console, values: Values) -> None:
    page = small.page
    page.goto(values.url)
    expect(page.locator("#empty")).to_contain_text("No traffic in the last 30 s")
    expect(page.locator("#empty")).to_contain_text(re.compile(r"curl http://localhost:\d+/"))
    expect(page.locator("#empty")).to_contain_text("meshwright run")
    expect(page.locator("#empty").get_by_role("button")).to_have_count(0)  # a mesh without visitors
    expect(page.locator("#visitors")).to_be_hidden()
    expect(page.locator("#views")).to_be_hidden()
    expect(page.locator("#changes")).to_contain_text("No change yet")
    expect(page).to_have_title("small · meshwright")
    assert small.complaints == []


def test_an_empty_demo_offers_its_visitors(small: Console, values: Values) -> None:
    values.visitors = False
    page = small.page
    page.goto(values.url)
    expect(page.locator("#empty")).to_contain_text("/productpage")
    page.get_by_role("button", name="Switch visitors on").click()
    expect(page.get_by_role("switch", name="Visitors")).to_have_attribute("aria-checked", "true")
    assert values.visitors is True
    assert small.complaints == []


def test_a_switch_that_does_not_work_says_why(small: Console, values: Values) -> None:
    values.visitors = True
    page = small.page
    page.goto(values.url)
    switch = page.get_by_role("switch", name="Visitors")
    expect(switch).to_have_attribute("aria-checked", "true")
    values.away = True
    switch.click()
    expect(page.locator("#said")).to_contain_text("the control plane does not answer")
    expect(switch).to_have_attribute("aria-checked", "true")
    page.locator("#said").get_by_role("button", name="Close").click()
    expect(page.locator("#said")).to_be_empty()


def test_receipts_in_words(small: Console, values: Values) -> None:
    waits = "VirtualService default/v5 waits: nobody defines subset v1"
    values.changes = [
        change(5, live=True, affected=0, milliseconds=1.0, withheld=[waits]),
        change(4, live=True, milliseconds=11.4),
        change(3, waiting=["reviews-v2-abc.default"]),
        change(2, refused=["details-v1-abc.default"], milliseconds=9.0),
        change(1, live=True, absent=["ratings-v1-abc.default"], milliseconds=20.0),
    ]
    page = small.page
    page.goto(values.url)
    words = page.locator(".receipt")
    expect(words).to_have_text(
        [
            waits,
            "live on 3/3 proxies in 11 ms",
            "live on 2/3 proxies so far, waiting for: reviews-v2-abc.default",
            "refused by 1/3 proxies: details-v1-abc.default",
            "live on 2/3 proxies in 20 ms; not connected: ratings-v1-abc.default",
        ],
    )
    page.locator("[data-change='3']").get_by_role("button", name="Undo").click()
    page.click("#undo-yes")
    why = "cannot undo 3: VirtualService default/v3: spec.http changed since"
    expect(page.locator("#said")).to_contain_text(f"Change 3 is not undone: {why}")


def test_receipts_and_refusals_in_chinese(chromium: Browser, values: Values) -> None:
    """What the mesh says comes as values: no English sentence is left."""
    kept = WITHHELD.say("subset-kept", object="v7", subset="v1", host="reviews")
    instead = INSTEAD.say("instead-own-route")
    waits = WITHHELD.say("withheld", object="v6", subset="v1", host="reviews", instead=instead)
    undone = {"message": "undo 3", "said": CHANGES.say("change-undo", change=3).as_json()}
    held = [{"withheld": [str(each)], "withheld_said": [each.as_json()]} for each in (kept, waits)]
    values.changes = [
        {**change(7, live=True, affected=0, milliseconds=1.0, **held[0]), **undone},
        change(6, milliseconds=1.0, waiting=["b.default"], **held[1]),
        change(5, waiting=["c.default"], steps=["servers take both"], stages=["opening"]),
        change(4, steps=["clients follow"], stages=["moving"]),
        change(3, refused=["a.default"], absent=["d.default"], milliseconds=9.0),
        change(2, live=True, absent=["d.default"], milliseconds=9.0),
        change(1, live=True, affected=0, milliseconds=1.0),
    ]
    made = new_page(chromium, locale="zh-CN")
    page = made.page
    try:
        page.goto(values.url)
        expect(page.locator(".receipt")).to_have_text(
            [
                "v7：reviews 的子集 v1 已没有定义；只要此路由需要，就保持原样",
                (
                    "v6：未生效：reviews 的子集 v1 没有定义；继续使用服务自己的路由；"
                    "目前在 2/3 个代理上生效，仍在等待：b.default"
                ),
                "尚未生效：TLS 模式分步变更，当前：服务端同时接受两种方式；仍在等待：c.default",
                "尚未生效：TLS 模式分步变更，当前：客户端随后切换",
                "被 1/3 个代理拒绝：a.default；未连接：d.default",
                "已在 2/3 个代理上生效，用时 9 ms；未连接：d.default",
                "没有代理受影响",
            ],
        )
        expect(page.locator("[data-change='7']")).to_contain_text("撤销变更 3")
        page.locator("[data-change='3']").get_by_role("button", name="撤销").click()
        page.click("#undo-yes")
        expect(page.locator("#said")).to_contain_text(
            "变更 3 未能撤销：无法撤销变更 3：VirtualService default/v3 的 spec.http"
        )
        assert english(page) == []
        values.away = True
        page.locator("[data-change='3']").get_by_role("button", name="差异").click()
        expect(page.locator("[data-change='3'] .below")).to_have_text("操作失败：控制平面无响应")
        assert english(page) == []
        assert values.server is not None
        values.server.should_exit = True
        expect(page.locator("#live")).to_have_text("连接已断开")
        page.locator("[data-change='2']").get_by_role("button", name="差异").click()
        expect(page.locator("[data-change='2'] .below")).to_have_text("操作失败：控制台无响应")
    finally:
        page.context.close()


def test_texts_of_others_are_text(small: Console, values: Values) -> None:
    """Names come from the cluster: none of them becomes part of the page."""
    evil = "<img src=x onerror=document.title='evil'>"
    values.changes = [{**change(1), "author": evil, "message": evil, "objects": [evil]}]
    page = small.page
    page.goto(values.url)
    expect(page.locator("#changes")).to_contain_text("onerror")
    assert page.locator("#changes img").count() == 0
    expect(page).to_have_title("small · meshwright")
    assert small.complaints == []


def test_a_control_plane_that_is_away(small: Console, values: Values) -> None:
    values.changes = [change(1, live=True, milliseconds=5.0)]
    values.away = True
    page = small.page
    page.goto(values.url)
    expect(page.locator("#notice")).to_contain_text("The control plane does not answer")
    expect(page.locator("#live")).to_have_text("Live")
    expect(page.locator("#changes")).to_contain_text("The control plane keeps the changes")


def test_times_are_local_and_have_their_day(chromium: Browser, values: Values) -> None:
    """A change of yesterday does not look like one of today."""
    zone = "Asia/Shanghai"
    now = datetime.now(ZoneInfo(zone)).replace(hour=12)
    values.changes = [{**change(2), "time": now.timestamp() * 1000}]
    values.changes.append({**change(1), "time": (now - timedelta(days=400)).timestamp() * 1000})
    context = chromium.new_context(timezone_id=zone, locale="en-US")
    try:
        page = context.new_page()
        page.goto(values.url)
        times = page.locator(".change-list time")
        expect(times.first).to_have_text(now.strftime("%H:%M:%S"))
        before = now - timedelta(days=400)
        expect(times.last).to_have_text(re.compile(rf"{before.day} \w+ {before.year},? {before:%H:%M:%S}"))
        expect(times.last).to_have_attribute("title", re.compile(r"GMT\+8"))
    finally:
        context.close()


def test_what_an_undo_means_is_said_before_it_happens(small: Console, values: Values) -> None:
    values.changes = [change(3)]
    names = [f"Service default/s{number}" for number in range(6)]
    values.differences = [
        {"object": "VirtualService default/a", "before": {"spec": {"a": 1}}, "after": {"spec": {"a": 2}}},
        {"object": "VirtualService default/b", "before": {"spec": {}}, "after": None},
        *({"object": name, "before": None, "after": {"spec": {}}} for name in names),
    ]
    page = small.page
    page.goto(values.url)
    page.get_by_role("button", name="Undo change 3").click()
    lines = page.locator("#undo-objects li")
    expect(lines).to_have_text(
        [
            "VirtualService default/a is changed back",
            "VirtualService default/b comes back",
            *(f"{name} is deleted" for name in names),
        ],
    )
    expect(page.locator("#undo-grave")).to_contain_text("6 objects")
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(page.locator("#undo")).to_be_hidden()
    expect(page.get_by_role("button", name="Undo change 3")).to_be_focused()


def test_requests_do_not_move_under_the_pointer(small: Console, values: Values) -> None:
    values.graph = SMALL
    values.requests = [request(number) for number in range(4, 0, -1)]
    page = small.page
    page.goto(values.url)
    page.locator(f"[data-label='{CALL['id']}']").click()
    first = page.locator("#requests > tr").first
    expect(first).to_contain_text("/4")
    first.hover()
    values.requests = [request(7, ms=0, code="503", flags="UF,URX"), request(6, ms=2345), *values.requests]
    values.tell()
    expect(page.locator("#panel")).to_contain_text("newer: 2, shown")
    expect(first).to_contain_text("/4")
    page.locator("#panel-title").hover()
    page.locator("h1").hover()
    expect(first).to_contain_text("/7")
    expect(first).to_contain_text("<1 ms")
    expect(page.locator("#requests > tr").nth(1)).to_contain_text("2.3 s")
    expect(page.locator("#panel")).not_to_contain_text("newer:")
    assert small.complaints == []


def test_a_lost_connection_is_no_live_picture(small: Console, values: Values) -> None:
    values.graph = SMALL
    page = small.page
    page.goto(values.url)
    page.wait_for_selector(f"[data-label='{CALL['id']}'] rect")
    step = "document.querySelector('.lines').style.getPropertyValue('--flow')"
    before = page.evaluate(step)
    wait(page, lambda: page.evaluate(step) != before, "dashes run")
    assert values.server is not None
    values.server.should_exit = True
    expect(page.locator("#notice")).to_contain_text(re.compile(r"Connection lost at \d\d:\d\d:\d\d"))
    before = page.evaluate(step)
    page.wait_for_timeout(600)
    assert page.evaluate(step) == before
    assert violations(page) == []


def test_nothing_runs_for_those_who_want_no_motion(chromium: Browser, values: Values) -> None:
    values.graph = SMALL
    context = chromium.new_context(reduced_motion="reduce")
    try:
        page = context.new_page()
        page.goto(values.url)
        page.wait_for_selector(f"[data-label='{CALL['id']}'] rect")
        page.wait_for_timeout(600)
        assert page.evaluate("document.querySelector('.lines').style.getPropertyValue('--flow')") == ""
        assert page.evaluate("document.getAnimations().length") == 0
    finally:
        context.close()


def test_a_hidden_tab_gives_its_connection_back(small: Console, values: Values) -> None:
    """A browser has six for a host: seven tabs would be stuck."""
    page = small.page
    ended: list[str] = []
    page.on("requestfailed", lambda each: ended.append(each.url))
    page.clock.install()
    page.goto(values.url)
    expect(page.locator("#live")).to_have_text("Live")
    hide = "h => { Object.defineProperty(document, 'hidden', {value: h, configurable: true});"
    hide += "document.dispatchEvent(new Event('visibilitychange')); }"
    page.evaluate(hide, arg=True)
    page.clock.fast_forward(11_000)
    wait(page, lambda: any("/events" in url for url in ended), "the stream of events is closed")
    expect(page.locator("#live")).to_have_text("Live")
    values.graph = SMALL
    values.tell()
    page.evaluate(hide, arg=False)
    page.wait_for_selector(f"[data-label='{CALL['id']}'] rect")


def test_a_second_tab_needs_no_token(small: Console, values: Values) -> None:
    page = small.page
    page.goto(values.url)
    expect(page.locator("#live")).to_have_text("Live")
    assert page.context.cookies() == []
    assert "token" not in page.url
    second = page.context.new_page()
    second.goto(values.url.partition("#")[0])
    expect(second.locator("#live")).to_have_text("Live")
    second.goto(f"{values.url.partition('#')[0]}#token=wrong")
    second.reload()
    expect(second.locator("#login-error")).to_contain_text("not the token")
    assert violations(second) == []


def test_nothing_is_cut_off_on_a_narrow_page(small: Console, values: Values) -> None:
    values.graph = SMALL
    values.visitors = True
    fields = [{"spec": {"http": [{"fault": {"abort": {"httpStatus": code}}}]}} for code in (500, 555)]
    values.changes = [change(2, live=True, milliseconds=5.0)]
    values.differences = [{"object": "VirtualService default/v2", "before": fields[0], "after": fields[1]}]
    page = small.page
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(values.url)
    page.wait_for_selector(f"[data-label='{CALL['id']}'] rect")
    page.locator("[data-box='default/cart']").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Diff of change 2").click()
    expect(page.locator(".diff .new")).to_contain_text("555")
    wide = "[...document.querySelectorAll('body, .panel .scroll, .diff, .diff .scroll')]"
    assert page.evaluate(f"{wide}.filter(e => e.scrollWidth > e.clientWidth).map(e => e.className)") == []
    tools = "[...document.querySelectorAll('.tools > :not([hidden])')]"
    rows = f"new Set({tools}.map(e => Math.round(e.getBoundingClientRect().bottom / 20))).size"
    assert page.evaluate(rows) == 1
    assert violations(page) == []
    assert small.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_odd_states(chromium: Browser, values: Values, scheme: str) -> None:
    failed = edge(GATEWAY, "gone.default.svc.cluster.local", error_share=1.0, mtls_share=0.0)
    half = edge(CART, "default/db-v1", "db.default.svc.cluster.local", "tcp", mtls_share=0.5)
    some = edge("unknown/unknown", CART, error_share=0.02)
    nodes = [*SMALL["nodes"], node("unknown/unknown", "unknown"), node("default/db-v1")]
    values.graph = graph([*nodes, node("gone.default.svc.cluster.local", "service")], [CALL, failed, half, some])
    values.changes = [change(2, refused=["a.default"]), change(1, waiting=["b.default"])]
    made = new_page(chromium, color_scheme=scheme)
    page = made.page
    try:
        page.goto(values.url)
        page.wait_for_selector(f"[data-label='{CALL['id']}'] rect")
        assert violations(page) == []
        page.locator("[data-box='default/cart']").click()
        assert violations(page) == []
        page.locator(f"[data-label='{failed['id']}']").click()
        assert violations(page) == []
        values.graph = graph([], [])
        values.visitors = False
        values.tell()
        page.reload()
        expect(page.locator("#empty")).to_be_visible()
        assert violations(page) == []
        assert made.complaints == []
    finally:
        page.context.close()
