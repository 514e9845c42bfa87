"""What the page shows when there is nothing, when something is away, and when a change does not come through.

The console's own application on a real port, with values that a mesh gives in such moments.
"""

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, expect

from meshwright.asynctools.latest import Latest
from meshwright.console.application import application
from meshwright.console.seams import MeshAwayError, MeshRefusesError, Seams
from tests.browser.conftest import HANG, Console, new_page

TOKEN = "t" * 32
Json = dict[str, Any]


def change(number: int, **receipt: Any) -> Json:
    told: Json = {"change": number, "live": False, "affected": 3, "waiting": [], "absent": [], "refused": []}
    return {
        "number": number,
        "time": 1_795_271_220_000 + number,
        "author": "ann",
        "message": "",
        "objects": [f"VirtualService default/v{number}"],
        "receipt": {**told, "milliseconds": None, **receipt},
    }


def no_requests(edge: str, most: int) -> list[Json]:
    del edge, most
    return []


@dataclass
class Values:
    """What the mesh says; `tell` makes the page hear of it."""

    graph: Json = field(default_factory=lambda: {"window_seconds": 30.0, "nodes": [], "edges": []})
    changes: list[Json] = field(default_factory=list[Json])
    away: bool = False
    news: Latest[int] = field(default_factory=lambda: Latest(0))
    server: uvicorn.Server | None = None
    url: str = ""

    async def ask(self, operation: str, fields: Json) -> Json:
        if self.away:
            raise MeshAwayError("the control plane does not answer")
        if operation == "undo":
            raise MeshRefusesError(f"change {fields['change']} cannot be undone: v3 was changed since")
        return {"changes": self.changes} if operation == "changes" else {"on": None}

    def seams(self, port: int) -> Seams:
        return Seams(
            graph=lambda: self.graph,
            past=lambda _: self.graph,
            requests=no_requests,
            metrics=lambda: "",
            news=self.news,
            ask=self.ask,
            token=TOKEN,
            mesh="small",
            ingress=f"http://localhost:{port}",
            version="0",
            allowed_hosts=frozenset({"localhost"}),
        )


@pytest.fixture
def values() -> Iterator[Values]:
    made = Values()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()  # who connects before the server runs waits
    port = listener.getsockname()[1]
    made.url = f"http://localhost:{port}/#token={TOKEN}"
    config = uvicorn.Config(
        application(made.seams(port)), lifespan="off", ws="none", log_config=None, timeout_graceful_shutdown=1
    )
    made.server = uvicorn.Server(config)
    thread = threading.Thread(target=made.server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield made
    finally:
        made.server.should_exit = True
        thread.join(20)
        listener.close()


@pytest.fixture
def small(chromium: Browser) -> Iterator[Console]:
    made = new_page(chromium)
    try:
        yield made
    finally:
        made.page.context.close()


def test_an_empty_graph_says_how_to_fill_it(small: Console, values: Values) -> None:
    page = small.page
    page.goto(values.url)
    expect(page.locator("#empty")).to_contain_text("No traffic", timeout=HANG)
    expect(page.locator("#empty")).to_contain_text("curl http://localhost:")
    expect(page.locator("#empty")).to_contain_text("meshwright visitors on")
    expect(page.locator("#visitors")).to_be_hidden()
    expect(page.locator("#changes")).to_contain_text("No change yet")
    expect(page).to_have_title("small · meshwright")
    assert small.complaints == []


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
        timeout=HANG,
    )
    page.locator("[data-change='3']").get_by_role("button", name="Undo").click()
    page.click("#undo-yes")
    expect(page.locator("#said")).to_contain_text("Change 3 is not undone: change 3 cannot be undone: v3 was changed")


def test_texts_of_others_are_text(small: Console, values: Values) -> None:
    """Names come from the cluster: none of them becomes part of the page."""
    evil = "<img src=x onerror=document.title='evil'>"
    values.changes = [{**change(1), "author": evil, "message": evil, "objects": [evil]}]
    page = small.page
    page.goto(values.url)
    expect(page.locator("#changes")).to_contain_text("onerror", timeout=HANG)
    assert page.locator("#changes img").count() == 0
    expect(page).to_have_title("small · meshwright")
    assert small.complaints == []


def test_a_control_plane_that_is_away(small: Console, values: Values) -> None:
    values.changes = [change(1, live=True, milliseconds=5.0)]
    values.away = True
    page = small.page
    page.goto(values.url)
    expect(page.locator("#notice")).to_contain_text("The control plane does not answer", timeout=HANG)
    expect(page.locator("#live")).to_have_text("Live")
