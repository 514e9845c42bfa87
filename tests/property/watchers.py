"""Writers and watchers of the object API for the property test: each in a thread, with connections of its own."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.apiserver.objects import virtual_service, virtual_services
from tests.apiserver.server import Answer, Client

Json = dict[str, Any]
HOLD = "example.com/hold"
FENCE = "zz-fence"
GONE = 410


@dataclass(frozen=True)
class Selector:
    """As the API takes it, and what it means: a second opinion on what the server does with it."""

    query: str
    label: tuple[str, ...] | None = None  # values of `app` that are chosen; "" stands for none
    name: str = ""

    def selects(self, name: str, app: str) -> bool:
        return (self.label is None or app in self.label) and self.name in ("", name)


SELECTORS = (
    Selector(""),
    Selector("labelSelector=app%3Dx", ("x",)),
    Selector("labelSelector=app!%3Dy", ("x", "z", "")),
    Selector("labelSelector=app+in+(y,z)", ("y", "z")),
    Selector("labelSelector=app", ("x", "y", "z")),
    Selector("fieldSelector=metadata.name%3Da", None, "a"),
)


@dataclass(frozen=True)
class Step:
    """One thing that a writer does."""

    action: str
    name: str
    app: str
    number: int


@dataclass
class Writer:
    """Does its steps; remembers every version that it was told of. What is refused is refused."""

    client: Client
    namespace: str
    steps: list[Step]
    told: set[int] = field(default_factory=set[int])
    answers: list[int] = field(default_factory=list[int])

    def run(self) -> None:
        for step in self.steps:
            answer = self._do(step)
            assert answer.status in (200, 201, 404, 409), answer.text.decode()
            self.answers.append(answer.status)
            version = answer.json.get("metadata", {}).get("resourceVersion")
            if answer.status < 300 and version:
                self.told.add(int(version))

    def _do(self, step: Step) -> Answer:  # noqa: PLR0911 - a flat list of what there is to do
        client, where = self.client, virtual_services(self.namespace, step.name)
        value = described(step)
        match step.action:
            case "create":
                return client.post(virtual_services(self.namespace), value)
            case "put":
                return client.put(where, value)
            case "stale":  # from what was read: a conflict when somebody was faster
                read = client.get(where)
                if read.status != 200:
                    return read
                return client.put(where, {**read.json, "spec": value["spec"]})
            case "merge":
                return client.merge(
                    where, {"spec": value["spec"], "metadata": {"labels": value["metadata"]["labels"]}}
                )
            case "label":
                return client.merge(where, {"metadata": {"labels": {"app": step.app or None}}})
            case "apply":
                return client.apply(where, value, f"manager-{step.number}", "&force=true")
            case "status":
                status = {"observedGeneration": step.number}
                return client.merge(f"{where}/status", {"status": status})
            case "release":
                return client.merge(where, {"metadata": {"finalizers": None}})
            case _:
                return client.delete(where)


def described(step: Step) -> Json:
    value = virtual_service(step.name, f"v{step.number}")
    value["metadata"]["labels"] = {"app": step.app} if step.app else {}
    if step.action == "create" and step.number == 0:
        value["metadata"]["finalizers"] = [HOLD]
    return value


@dataclass(frozen=True)
class Heard:
    """One event as a watcher was told of it."""

    type: str
    name: str
    version: int


@dataclass
class Stretch:
    """What a watcher heard since it last read a list (or was sent everything), which was as of `start`."""

    start: int
    objects: dict[str, Json]
    events: list[Heard] = field(default_factory=list[Heard])


@dataclass(frozen=True)
class Plan:
    """How a watcher goes about it: `start` is list, initial or a version behind; `breaks` when it breaks off."""

    selector: Selector
    start: str
    breaks: tuple[int, ...]
    slow: bool
    seconds: int


@dataclass
class Watcher:
    """As a client library: lists or asks for everything, watches, goes on where it was, lists again after 410."""

    client: Client
    namespace: str
    plan: Plan
    first: int
    stretches: list[Stretch] = field(default_factory=list[Stretch])
    seen: int = 0
    until: int = 0  # the version of the fence, once it is there
    relists: int = 0

    def run(self) -> None:
        self._begin(self.plan.start)
        breaks = list(self.plan.breaks)
        deadline = time.monotonic() + 40
        while not self.until or self.seen < self.until:
            assert time.monotonic() < deadline, f"{self} does not get to its end"
            self._watch(breaks.pop(0) if breaks else 0)

    @property
    def objects(self) -> dict[str, Json]:
        return self.stretches[-1].objects

    def _begin(self, how: str) -> None:
        if how == "initial":
            self._everything()
            return
        exact = f"&resourceVersion={self.first}&resourceVersionMatch=Exact" if how == "behind" else ""
        while True:
            found = self._pages(exact)
            if found is not None:
                break
            exact = ""
        items, version = found
        self._start({item["metadata"]["name"]: item for item in items}, version)

    def _start(self, objects: dict[str, Json], version: int) -> None:
        self.stretches.append(Stretch(version, objects))
        self.seen = version

    def _pages(self, more: str) -> tuple[list[Json], int] | None:
        """A list in pages of two; None where it was forgotten while it was read."""
        items: list[Json] = []
        token, versions = "", set[int]()
        while True:
            query = f"?limit=2&{self.plan.selector.query}" + (f"&continue={token}" if token else more)
            answer = self.client.get(virtual_services(self.namespace) + query)
            if answer.status == GONE:
                return None
            page = self.client.must(answer)
            items += page["items"]
            versions.add(int(page["metadata"]["resourceVersion"]))
            token = page["metadata"].get("continue", "")
            if not token:
                assert len(versions) == 1, "pages of several moments"
                return items, versions.pop()

    def _everything(self) -> None:
        query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
        objects: dict[str, Json] = {}
        with self.client.watch(self._where(query)) as events:
            while (event := events.next())["type"] != "BOOKMARK":
                assert event["type"] == "ADDED"
                objects[event["object"]["metadata"]["name"]] = event["object"]
        self._start(objects, int(event["object"]["metadata"]["resourceVersion"]))

    def _where(self, more: str) -> str:
        query = f"watch=1&timeoutSeconds={self.plan.seconds}&{self.plan.selector.query}&{more}"
        return f"{virtual_services(self.namespace)}?{query}"

    def _watch(self, most: int) -> None:
        """One connection: until the server ends it, or after `most` lines (0: all) from this side."""
        connection = self.client.connect()
        try:
            connection.connect()
            if self.plan.slow:
                connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            query = f"allowWatchBookmarks=true&resourceVersion={self.seen}"
            connection.request("GET", self._where(query), headers={"Authorization": f"Bearer {self.client.token}"})
            response = connection.getresponse()
            assert response.status == 200, response.read()
            self._read(response, most)
        finally:
            connection.close()

    def _read(self, response: http.client.HTTPResponse, most: int) -> None:
        lines = 0
        while line := response.readline():
            if not self._take(json.loads(line)):
                return
            lines += 1
            if lines == most or (self.until and self.seen >= self.until):
                return
            if self.plan.slow:
                time.sleep(0.004)

    def _take(self, event: Json) -> bool:
        """Whether the watch goes on."""
        value = event["object"]
        if event["type"] == "ERROR":
            assert value["code"] == GONE, value
            self.relists += 1
            self._begin("list")
            return False
        version = int(value["metadata"]["resourceVersion"])
        if event["type"] == "BOOKMARK":
            assert version >= self.seen
            self.seen = version
            return True
        assert version > self.seen, "an event twice, or out of order"
        self.seen = version
        name = value["metadata"]["name"]
        assert (event["type"] == "ADDED") == (name not in self.objects), f"{event['type']} of {name}"
        if event["type"] == "DELETED":
            del self.objects[name]
        else:
            self.objects[name] = value
        self.stretches[-1].events.append(Heard(event["type"], name, version))
        return True


@dataclass
class Auditor:
    """Hears everything from the start, and knows what a watcher with a selector must have heard of it."""

    watcher: Watcher
    labels: dict[int, str] = field(default_factory=dict[int, str])

    def expected(self, selector: Selector, since: int, until: int, before: Iterable[Json]) -> list[Heard]:
        """Events as the selector shows them, from the objects as they were at `since`."""
        inside = {item["metadata"]["name"] for item in before}
        told: list[Heard] = []
        for event in self.watcher.stretches[0].events:
            if not since < event.version <= until:
                continue
            chosen = event.type != "DELETED" and selector.selects(event.name, self.labels[event.version])
            was = event.name in inside
            if chosen:
                told.append(Heard("MODIFIED" if was else "ADDED", event.name, event.version))
                inside.add(event.name)
            elif was:
                told.append(Heard("DELETED", event.name, event.version))
                inside.discard(event.name)
        return told


class Crowd:
    """Threads that are all joined, and whose failures are told."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self._failures: list[BaseException] = []

    def start(self, work: Any) -> None:
        def run() -> None:
            try:
                work()
            except BaseException as failure:  # noqa: BLE001 - the test must see it
                self._failures.append(failure)

        self._threads.append(threading.Thread(target=run))
        self._threads[-1].start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(50)
        assert not any(thread.is_alive() for thread in self._threads)
        if self._failures:
            raise self._failures[0]
