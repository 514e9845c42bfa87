"""Over real HTTPS: however writers and watchers meet, each watcher ends with what a list says, and has heard each
event once, in order, and exactly those that its selector shows.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from meshwright.store.limits import Limits
from tests.apiserver.objects import virtual_service, virtual_services
from tests.apiserver.server import Client, Running, running
from tests.property.watchers import FENCE, SELECTORS, Auditor, Crowd, Plan, Selector, Step, Watcher, Writer

_numbers = itertools.count(1)
ACTIONS = (
    "create", "create", "put", "stale", "merge", "label", "label", "apply", "status", "release", "delete", "delete",
)  # fmt: skip
STEP = st.builds(
    Step, st.sampled_from(ACTIONS), st.sampled_from("abcd"), st.sampled_from(("x", "y", "z", "")), st.integers(0, 3)
)
PROGRAMS = st.lists(st.lists(STEP, min_size=5, max_size=20), min_size=1, max_size=3)
PLAN = st.builds(
    Plan,
    st.sampled_from(SELECTORS),
    st.sampled_from(("list", "initial", "behind")),
    st.lists(st.integers(1, 6), max_size=5).map(tuple),
    st.booleans(),
    st.just(1),
)
PLANS = st.lists(PLAN, min_size=2, max_size=5)
UNHURRIED = settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[
        Phase.explicit,
        Phase.reuse,
        Phase.generate,
    ],  # threads never meet twice in the same way: nothing to shrink
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("watch")) as started:
        yield started


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that keeps next to nothing of the past."""
    limits = Limits(events=16, window_events=4, window_bytes=4_000, pause_seconds=0)
    with running(tmp_path_factory.mktemp("forgetful"), limits) as started:
        yield started


def prepared(client: Client) -> tuple[str, int]:
    """A namespace with some objects, and a version at which they were there."""
    namespace = f"w{next(_numbers)}"
    client.must(client.post("/api/v1/namespaces", {"metadata": {"name": namespace}}))
    for name in "ac":
        client.must(client.post(virtual_services(namespace), virtual_service(name)))
    listed = client.must(client.get(virtual_services(namespace)))
    return namespace, int(listed["metadata"]["resourceVersion"])


def fence(client: Client, namespace: str, watchers: list[Watcher]) -> int:
    """The last write; every watcher is done when it has heard of it, or of a moment after it."""
    value = virtual_service(FENCE)
    value["metadata"]["labels"] = {"app": "x"}
    made = client.must(client.post(virtual_services(namespace), value))
    version = int(made["metadata"]["resourceVersion"])
    for watcher in watchers:
        watcher.until = version
    return version


def meet(server: Running, programs: list[list[Step]], plans: list[Plan]) -> tuple[list[Writer], list[Watcher], int]:
    """Everybody at once; the first watcher is the auditor."""
    client = server.admin
    namespace, first = prepared(client)
    writers = [Writer(server.admin, namespace, steps) for steps in programs]
    watchers = [Watcher(server.admin, namespace, plan, first) for plan in plans]
    audience, authors = Crowd(), Crowd()
    for watcher in watchers:
        audience.start(watcher.run)
    try:
        for writer in writers:
            authors.start(writer.run)
        authors.join()
    finally:
        version = fence(client, namespace, watchers)
        audience.join()
    for watcher in watchers:
        listed = client.must(client.get(f"{virtual_services(namespace)}?{watcher.plan.selector.query}"))
        assert watcher.objects == {item["metadata"]["name"]: item for item in listed["items"]}
    return writers, watchers, version


def labels_of(server: Running, namespace: str, first: int) -> dict[int, str]:
    """The label that each event's object had, read in one go from the start."""
    found: dict[int, str] = {}
    where = f"{virtual_services(namespace)}?watch=1&timeoutSeconds=1&resourceVersion={first}"
    with server.admin.watch(where) as events:
        for event in events.rest():
            metadata: Any = event["object"]["metadata"]
            found[int(metadata["resourceVersion"])] = metadata.get("labels", {}).get("app", "")
    return found


@UNHURRIED
@given(programs=PROGRAMS, plans=PLANS)
def test_every_watcher_ends_with_the_list_and_heard_each_event_once(
    server: Running, programs: list[list[Step]], plans: list[Plan]
) -> None:
    audit = Plan(Selector(""), "behind", (), slow=False, seconds=1)
    writers, watchers, last = meet(server, programs, [audit, *plans])
    first = watchers[0].first
    heard = {event.version: event.type for event in watchers[0].stretches[0].events}
    told = {version for writer in writers for version in writer.told if version > first}
    assert told <= heard.keys(), "a version that a writer was told of was never heard of"
    silent = {kind for version, kind in heard.items() if version not in told and version != last}
    assert silent <= {"DELETED"}, "an event that nobody wrote"
    auditor = Auditor(watchers[0], labels_of(server, watchers[0].namespace, first))
    for watcher in watchers:
        (stretch,) = watcher.stretches
        before = _as_of(server, watcher, stretch.start)
        assert stretch.events == auditor.expected(watcher.plan.selector, stretch.start, watcher.seen, before)


def _as_of(server: Running, watcher: Watcher, version: int) -> list[Any]:
    exact = f"resourceVersion={version}&resourceVersionMatch=Exact&{watcher.plan.selector.query}"
    return server.admin.must(server.admin.get(f"{virtual_services(watcher.namespace)}?{exact}"))["items"]


@UNHURRIED
@given(programs=PROGRAMS, plans=PLANS)
def test_watchers_that_were_away_too_long_list_again_and_end_the_same(
    forgetful: Running, programs: list[list[Step]], plans: list[Plan]
) -> None:
    meet(forgetful, programs, plans)
