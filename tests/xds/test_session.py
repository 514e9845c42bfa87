"""The session: any history converges to the newest, in an order that breaks nothing."""

from collections import deque
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshwright.envoyapi.envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
)
from meshwright.model.names import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET, ProxyName, ResourceName, TypeUrl
from meshwright.model.published import EncodedResource
from meshwright.xds.culprit import culprits
from meshwright.xds.session import Complaint, Session, SubscriptionError, Timing
from meshwright.xds.subscription import MOST_NAMES, TooManyNamesError
from tests.xds.proxy_model import POISON, TYPES, Mesh, ModelProxy, encoded, resources

PROXY = ProxyName("web-1.default")
NAMES = "abcd"


# ---------------------------------------------------------------- any history


@st.composite
def meshes(draw: st.DrawFn, *, poison: bool) -> Mesh:
    contents = st.sampled_from(["1", "2", POISON] if poison else ["1", "2"])
    clusters = draw(st.dictionaries(st.sampled_from(NAMES), contents, min_size=1))
    healthy = sorted(name for name, content in clusters.items() if content != POISON)
    names = draw(st.sets(st.sampled_from("xyz"))) if healthy else set[str]()
    listeners = {name: draw(contents) for name in sorted(names)}
    routes = {name: draw(st.sampled_from(healthy)) for name in sorted(names)}
    return Mesh(tuple(clusters.items()), tuple(listeners.items()), tuple(routes.items()))


class World:
    """A session, a model proxy, and a wire between them that delivers when chance says so."""

    def __init__(self, random: Random, proxy: ModelProxy, warming: float = 1e9) -> None:
        self.random, self.proxy, self.now, self.warming = random, proxy, 0.0, warming
        self.complaints: list[Complaint] = []
        self.wire = deque[bytes]()
        self.connect()

    def connect(self) -> None:
        self.session = Session(PROXY, self.complaints.append, Timing(warming=self.warming, removal=1.0, patience=0.2))
        self.wire.clear()
        self.proxy.connect()

    def step(self) -> bool:
        """One thing that can happen; False when nothing can."""
        reply = self.session.reply(self.now) if self.random.random() < 0.7 else None
        if reply is not None:
            self.wire.append(reply)
        choices = [self._down] * bool(self.wire) + [self._up] * bool(self.proxy.out)
        if choices:
            self.random.choice(choices)()
        return bool(choices or reply)

    def _down(self) -> None:
        self.proxy.take(self.wire.popleft())

    def _up(self) -> None:
        self.session.receive(self.proxy.out.popleft())

    def settle(self) -> None:
        for _ in range(10_000):
            while (reply := self.session.reply(self.now)) is not None:
                self.wire.append(reply)
            if self.wire:
                self._down()
            elif self.proxy.out:
                self._up()
            elif (wake := self.session.wake_at(self.now)) is not None and wake < 1e9:
                self.now = wake
            else:
                return
        raise AssertionError("it never comes to rest")


def held(proxy: ModelProxy) -> dict[TypeUrl, dict[str, str]]:
    return {url: {name: holding.version for name, holding in proxy.has[url].items()} for url in TYPES}


def wanted(mesh: Mesh) -> dict[TypeUrl, dict[str, str]]:
    return {url: {str(n): str(r.version) for n, r in named.items()} for url, named in resources(mesh).items()}


@given(st.lists(meshes(poison=False), min_size=1, max_size=6), st.randoms(use_true_random=False), st.booleans())
@settings(max_examples=250, deadline=None)
def test_any_history_converges_and_breaks_nothing(history: list[Mesh], random: Random, reconnects: bool) -> None:  # noqa: FBT001
    world = World(random, ModelProxy())
    for mesh in history:
        world.session.update(resources(mesh))
        for _ in range(random.randrange(12)):
            world.step()
            world.now += random.choice([0.0, 0.05, 0.3, 1.5])
        if reconnects and random.random() < 0.3:
            world.connect()
            world.session.update(resources(mesh))
    world.settle()
    assert held(world.proxy) == wanted(history[-1])
    assert world.proxy.broken == []
    assert world.session.synced()
    assert world.session.acknowledged()[CLUSTER] == wanted(history[-1])[CLUSTER]
    assert not world.complaints

    before = world.proxy.received  # a new stream of the same proxy gets nothing again
    world.connect()
    world.session.update(resources(history[-1]))
    world.settle()
    assert world.proxy.received == before
    assert world.session.synced()


@given(
    st.lists(meshes(poison=True), min_size=1, max_size=5),
    st.randoms(use_true_random=False),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=250, deadline=None)
def test_poison_stops_nobody_else(history: list[Mesh], random: Random, whole: bool, names: bool) -> None:  # noqa: FBT001
    world = World(random, ModelProxy(whole_refusals=whole, names_culprits=names), warming=5.0)
    for mesh in history:
        world.session.update(resources(mesh))
        for _ in range(random.randrange(10)):
            world.step()
            world.now += random.choice([0.0, 0.05, 0.3, 1.5])
    world.settle()
    last, have = history[-1], held(world.proxy)
    for url, contents in ((CLUSTER, dict(last.clusters)), (LISTENER, dict(last.listeners))):
        good = {name: version for name, version in wanted(last)[url].items() if contents[name] != POISON}
        assert {name: have[url].get(name) for name in good} == good
        assert have[url].keys() <= contents.keys()
        poisoned = {name for name, content in contents.items() if content == POISON}
        assert {n for u, n in world.session.refused() if u == url} == poisoned
    blamed = {complaint.resource_name for complaint in world.complaints} - {None}
    poisons = {n for mesh in history for n, content in (*mesh.clusters, *mesh.listeners) if content == POISON}
    assert blamed <= poisons


# ---------------------------------------------------------------- single rules


def session(**types: list[EncodedResource]) -> tuple[Session, list[Complaint]]:
    heard: list[Complaint] = []
    made = Session(PROXY, heard.append)
    made.update(named(**types))
    return made, heard


URLS = {"clusters": CLUSTER, "endpoints": ENDPOINTS, "listeners": LISTENER, "routes": ROUTES, "secrets": SECRET}


def named(**types: list[EncodedResource]) -> dict[TypeUrl, dict[ResourceName, EncodedResource]]:
    return {URLS[key]: {item.name: item for item in items} for key, items in types.items()}


def drain(made: Session, now: float = 0.0) -> list[DeltaDiscoveryResponse]:
    found = list[DeltaDiscoveryResponse]()
    while (reply := made.reply(now)) is not None:
        found.append(DeltaDiscoveryResponse.FromString(reply))
    return found


def shown(responses: list[DeltaDiscoveryResponse]) -> list[tuple[str, list[str], list[str]]]:
    return [
        (r.type_url.rpartition(".")[2], [item.name for item in r.resources], list(r.removed_resources))
        for r in responses
    ]


def ask(
    made: Session, url: TypeUrl, *names: str, nonce: str = "", error: str = "", gone: tuple[str, ...] = ()
) -> None:
    request = DeltaDiscoveryRequest(
        type_url=url, resource_names_subscribe=names, resource_names_unsubscribe=gone, response_nonce=nonce
    )
    if error:
        request.error_detail.message = error
    made.receive(request)


def cluster(name: str, content: str = "1") -> EncodedResource:
    return encoded(CLUSTER, name, content)


def route(name: str, content: str = "1") -> EncodedResource:
    return encoded(ROUTES, name, content)


def test_an_empty_first_request_means_everything_for_clusters_and_nothing_for_routes() -> None:
    made, _ = session(clusters=[cluster("a")], routes=[route("r")])
    ask(made, CLUSTER)
    ask(made, ROUTES)
    assert shown(drain(made)) == [("Cluster", ["a"], [])]


def test_a_wildcard_without_resources_is_answered() -> None:
    made, _ = session()
    ask(made, CLUSTER)
    assert shown(drain(made)) == [("Cluster", [], [])]
    ask(made, CLUSTER, nonce="1")
    assert drain(made) == []


def test_nothing_is_said_before_the_resources_are_known() -> None:
    made = Session(PROXY, lambda _: None)
    ask(made, CLUSTER)
    assert made.reply(0.0) is None
    made.update(named(clusters=[cluster("a")]))
    assert shown(drain(made)) == [("Cluster", ["a"], [])]


def test_a_repeated_subscription_is_answered_though_nothing_changed_and_unknown_names_too() -> None:
    made, _ = session(routes=[route("r")])
    ask(made, ROUTES, "r", "unknown")
    assert shown(drain(made)) == [("RouteConfiguration", ["r"], ["unknown"])]
    ask(made, ROUTES, nonce="1")
    assert drain(made) == []
    ask(made, ROUTES, "r", "unknown")
    assert shown(drain(made)) == [("RouteConfiguration", ["r"], ["unknown"])]
    made.update(named(routes=[route("r"), route("unknown")]))
    assert shown(drain(made, 1.0)) == [("RouteConfiguration", ["unknown"], [])]


def test_an_acknowledgement_of_an_old_nonce_still_subscribes() -> None:
    made, _ = session(routes=[route("r"), route("s")])
    ask(made, ROUTES, "r")
    drain(made)
    ask(made, ROUTES, "s", nonce="0815")
    assert shown(drain(made)) == [("RouteConfiguration", ["s"], [])]


def test_a_changed_cluster_brings_its_endpoints_in_the_same_flush_and_holds_routes_back() -> None:
    a, ends = cluster("a"), [encoded(ENDPOINTS, "a", "")]
    made, _ = session(clusters=[a], endpoints=ends, routes=[route("r")])
    ask(made, CLUSTER)
    drain(made)
    ask(made, CLUSTER, nonce="1")
    ask(made, ENDPOINTS, "a")
    ask(made, ROUTES, "r")
    assert shown(drain(made)) == [("ClusterLoadAssignment", ["a"], []), ("RouteConfiguration", ["r"], [])]
    ask(made, ENDPOINTS, nonce="2")
    ask(made, ROUTES, nonce="3")
    made.update(named(clusters=[cluster("a", "2")], endpoints=ends, routes=[route("r", "2")]))
    assert shown(drain(made)) == [("Cluster", ["a"], []), ("ClusterLoadAssignment", ["a"], [])]
    assert not made.synced()
    ask(made, CLUSTER, nonce="4")
    assert shown(drain(made)) == [("RouteConfiguration", ["r"], [])]


def test_a_cluster_that_does_not_warm_holds_the_routes_for_a_bound_and_other_clusters_not_at_all() -> None:
    made, _ = session(clusters=[cluster("a")], routes=[route("r")])
    ask(made, CLUSTER)
    ask(made, ROUTES, "r")
    assert shown(drain(made)) == [("Cluster", ["a"], [])]
    made.update(named(clusters=[cluster("a"), cluster("b")], routes=[route("r")]))
    assert drain(made, 0.1) == []  # it gathers
    wake = made.wake_at(0.1)
    assert wake == pytest.approx(0.2)
    assert shown(drain(made, 0.2)) == [("Cluster", ["b"], [])]
    assert drain(made, 4.0) == []
    assert shown(drain(made, 5.3)) == [("RouteConfiguration", ["r"], [])]


def test_a_removal_waits_for_the_routes_and_the_bound() -> None:
    made, _ = session(clusters=[cluster("a"), cluster("b")], routes=[route("r", "a")])
    ask(made, CLUSTER)
    drain(made)
    ask(made, CLUSTER, nonce="1")
    ask(made, ROUTES, "r")
    drain(made)
    ask(made, ROUTES, nonce="2")
    made.update(named(clusters=[cluster("b")], routes=[route("r", "b")]))
    assert shown(drain(made, 10.0)) == [("RouteConfiguration", ["r"], [])]
    assert drain(made, 100.0) == []
    ask(made, ROUTES, nonce="3")
    assert drain(made, 101.0) == []
    assert made.wake_at(101.0) == pytest.approx(106.0)
    assert made.acknowledged()[CLUSTER].keys() == {"a", "b"}
    assert shown(drain(made, 106.0)) == [("Cluster", [], ["a"])]


def test_a_removal_that_is_taken_back_sends_nothing() -> None:
    made, _ = session(clusters=[cluster("a")])
    ask(made, CLUSTER)
    drain(made)
    ask(made, CLUSTER, nonce="1")
    made.update(named(clusters=[]))
    assert drain(made, 1.0) == []
    made.update(named(clusters=[cluster("a")]))
    assert drain(made, 100.0) == []


def test_siblings_of_a_refused_resource_go_out_again_without_it() -> None:
    made, heard = session(clusters=[cluster(name) for name in "abc"])
    ask(made, CLUSTER)
    drain(made)
    ask(made, CLUSTER, nonce="1", error="Error adding/updating cluster(s) b: it is bad")
    assert [(c.resource_name, c.nonce, c.type_url) for c in heard] == [("b", "1", CLUSTER)]
    assert shown(drain(made)) == [("Cluster", ["a", "c"], [])]
    ask(made, CLUSTER, nonce="2")
    assert drain(made, 100.0) == []
    made.update(named(clusters=[cluster("a"), cluster("b", "2"), cluster("c")]))
    assert shown(drain(made, 100.0)) == [("Cluster", ["b"], [])]


def test_an_unnamed_culprit_is_found_by_halves() -> None:
    made, heard = session(clusters=[cluster(name) for name in "abcd"])
    ask(made, CLUSTER)
    drain(made)
    ask(made, CLUSTER, nonce="1", error="no")
    assert heard[0].resource_name is None
    assert shown(drain(made)) == [("Cluster", ["a", "b"], []), ("Cluster", ["c", "d"], [])]
    ask(made, CLUSTER, nonce="2")
    ask(made, CLUSTER, nonce="3", error="no")
    assert shown(drain(made)) == [("Cluster", ["c"], []), ("Cluster", ["d"], [])]
    ask(made, CLUSTER, nonce="4")
    ask(made, CLUSTER, nonce="5", error="no")
    assert heard[-1].resource_name == "d"
    assert drain(made, 100.0) == []


@pytest.mark.parametrize(
    ("message", "blamed"),
    [
        ("Error adding/updating cluster(s) outbound|80||a.b: wrong", ("outbound|80||a.b",)),
        (
            "Error adding/updating cluster(s) outbound|80||a.b: x, outbound|80||a: y",
            ("outbound|80||a", "outbound|80||a.b"),
        ),
        ('Proto constraint validation failed (field: 1): name: "outbound|80||a" type: EDS', ("outbound|80||a",)),
        ("duplicate in outbound|80||a.", ("outbound|80||a",)),
        ("both outbound|80||a and 80", ()),
        ("nobody", ()),
    ],
    ids=["one", "two", "rule", "somewhere", "unclear", "none"],
)
def test_culprits_are_found_in_the_words_of_envoy(message: str, blamed: tuple[str, ...]) -> None:
    names = [ResourceName(name) for name in ("outbound|80||a", "outbound|80||a.b", "80")]
    assert culprits(names, message) == blamed


def test_a_stream_of_secrets_carries_secrets_only_and_hides_their_content() -> None:
    heard: list[Complaint] = []
    made = Session(PROXY, heard.append, only=SECRET)
    made.update(named(secrets=[encoded(CLUSTER, "default", "stands for a secret")]))
    ask(made, SECRET, "default", "unknown")
    assert shown(drain(made)) == [("Secret", ["default"], ["unknown"])]
    ask(
        made,
        SECRET,
        nonce="1",
        error='bad key: name: "default" tls_certificate { private_key { inline_bytes: "KEY" } }',
    )
    assert "KEY" not in heard[0].message
    with pytest.raises(SubscriptionError):
        ask(made, CLUSTER)


def test_floods_of_names_and_types_end() -> None:
    made, _ = session()
    with pytest.raises(TooManyNamesError):
        ask(made, ROUTES, *(str(number) for number in range(MOST_NAMES + 1)))
    for number in range(26):
        ask(made, TypeUrl(f"type.googleapis.com/x.Y{number}"))
    with pytest.raises(SubscriptionError):
        ask(made, TypeUrl("type.googleapis.com/x.Y26"))


def test_a_cluster_that_is_sent_once_more_before_it_goes_takes_its_endpoints_along() -> None:
    ends = encoded(ENDPOINTS, "d", "")
    made, _ = session(clusters=[cluster("d", "1")], endpoints=[ends])
    ask(made, CLUSTER)
    ask(made, ENDPOINTS, "d")
    drain(made)
    ask(made, CLUSTER, nonce="1")
    ask(made, ENDPOINTS, nonce="2")
    made.update(named(clusters=[cluster("d", "2"), cluster("a", POISON)], endpoints=[ends]))
    [sent, _] = drain(made, 1.0)
    assert sent.type_url == CLUSTER
    ask(made, CLUSTER, nonce=sent.nonce, error="a: it is poison")  # d may have been taken or not
    made.update(named(clusters=[], endpoints=[]))
    # what it was, until it goes
    assert shown(drain(made, 2.0)) == [("Cluster", ["d"], []), ("ClusterLoadAssignment", ["d"], [])]
