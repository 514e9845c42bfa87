"""Streams that share their steps, also over classes, say what sessions of their own would say, whatever happens."""

from dataclasses import dataclass, field
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from meshwright.envoyapi.envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse
from meshwright.model.names import CLUSTER, ENDPOINTS, LISTENER, ROUTES, ProxyName, ResourceName, TypeUrl
from meshwright.model.published import EncodedResource, Resources
from meshwright.xds.session import DEFAULT_TIMING, Complaint, Session
from meshwright.xds.stream import Book, Stream
from meshwright.xds.subscription import NOTHING
from meshwright.xds.witness import Witness
from tests.xds.mesh import endpoints
from tests.xds.proxy_model import encoded

CLASSES = 3
PROXIES = 6
NAMES = ("a", "b", "c", "d")
FIRST_ASKED: tuple[tuple[TypeUrl, tuple[str, ...]], ...] = (
    (CLUSTER, ()),
    (ENDPOINTS, NAMES),
    (LISTENER, ()),
    (ROUTES, NAMES[:2]),
)
SHARED, OWN = (CLUSTER, ENDPOINTS), (LISTENER, ROUTES)

Content = dict[str, int]
"""Of one type: which names there are, and what is in them."""
Pair = tuple[DeltaDiscoveryResponse, DeltaDiscoveryResponse]


@dataclass
class Twin:
    """One proxy twice: a stream that shares, and a session of its own that hears and must say the same."""

    stream: Stream
    session: Session
    unanswered: list[Pair] = field(default_factory=list[Pair])

    def hear(self, request: DeltaDiscoveryRequest, now: float, nonces: tuple[str, str] = ("", "")) -> None:
        request.response_nonce = nonces[0]
        self.stream.receive(request.SerializeToString(), now)
        request.response_nonce = nonces[1]
        self.session.receive(request)

    def speak(self, now: float) -> None:
        """Both say the same, or nothing."""
        while True:
            shared, own = self.stream.reply(now), self.session.reply(now)
            assert (shared is None) == (own is None)
            if shared is None or own is None:
                assert self.stream.synced == self.session.synced()
                return
            pair = DeltaDiscoveryResponse.FromString(shared.body[5:]), DeltaDiscoveryResponse.FromString(own)
            assert _content(pair[0]) == _content(pair[1])
            self.unanswered.append(pair)

    def leap(self, resources: Resources, now: float) -> bool:
        """Take the way from rest to what is said of news at once, when there is one; both say the same then, too."""
        step = self.stream.leap(resources, now)
        if step is None:
            return False
        assert step.said is not None
        self.session.update(resources)
        own = self.session.reply(now)
        assert own is not None, "there is something to be said"
        pair = DeltaDiscoveryResponse.FromString(step.said.body[5:]), DeltaDiscoveryResponse.FromString(own)
        assert _content(pair[0]) == _content(pair[1])
        self.stream.state = step.state
        self.unanswered.append(pair)
        return True

    def answer(self, now: float, refusal: str = "") -> None:
        """Acknowledge, or refuse, what came first."""
        shared, own = self.unanswered.pop(0)
        request = DeltaDiscoveryRequest(type_url=shared.type_url)
        if refusal:
            request.error_detail.message = refusal
        self.hear(request, now, (shared.nonce, own.nonce))


def _content(response: DeltaDiscoveryResponse) -> DeltaDiscoveryResponse:
    without = DeltaDiscoveryResponse()
    without.CopyFrom(response)
    without.nonce = ""
    return without


@dataclass
class World:
    """Three classes; clusters and endpoints are one mapping for all of them, listeners and routes are their own."""

    now: float = 100.0
    book: Book = field(default_factory=lambda: Book(DEFAULT_TIMING))
    twins: list[Twin] = field(default_factory=list[Twin])
    heard: list[Complaint] = field(default_factory=list[Complaint])
    classes: list[Resources] = field(default_factory=list[Resources])
    leaps: int = 0

    def __post_init__(self) -> None:
        shared = {url: _mapping(url, dict.fromkeys(NAMES, 0)) for url in SHARED}
        self.classes = [
            {**shared, **{url: _mapping(url, dict.fromkeys(NAMES[:2], number)) for url in OWN}}
            for number in range(CLASSES)
        ]
        for number in range(PROXIES):
            witness = Witness(ProxyName(f"web-{number}.default"), lambda: NOTHING)
            stream = Stream(ProxyName(f"web-{number}.default"), self.book, self.heard.append, witness)
            self.twins.append(Twin(stream, Session(ProxyName(f"web-{number}.default"), self.heard.append)))
        self.aim()
        for twin in self.twins:
            for url, names in FIRST_ASKED:
                twin.hear(DeltaDiscoveryRequest(type_url=url, resource_names_subscribe=names), self.now)
                twin.speak(self.now)
                while twin.unanswered:
                    twin.answer(self.now)
                    twin.speak(self.now)
            assert twin.stream.synced

    def change(self, url: TypeUrl, content: Content, whose: int) -> None:
        """Another mapping of a type: one for all classes, or of one of them."""
        mapping = _mapping(url, content)
        for number, resources in enumerate(self.classes):
            if url in SHARED or number == whose:
                self.classes[number] = {**resources, url: mapping}

    def aim(self, leapers: frozenset[int] = frozenset()) -> None:
        """Everybody hears of the newest; who is among `leapers` tries the short way first."""
        for number, twin in enumerate(self.twins):
            resources = self.classes[number % CLASSES]
            if number in leapers and twin.leap(resources, self.now):
                self.leaps += 1
            else:
                twin.stream.aim(resources, NOTHING, self.now)
                twin.session.update(resources)
            twin.speak(self.now)


def _mapping(url: TypeUrl, content: Content) -> dict[ResourceName, EncodedResource]:
    return {ResourceName(name): _resource(url, name, version) for name, version in content.items()}


@cache
def _resource(url: TypeUrl, name: str, version: int) -> EncodedResource:
    return endpoints(name, 8000 + version) if url == ENDPOINTS else encoded(url, name, str(version))


@dataclass(frozen=True)
class Change:
    """As `World.change`, and then `World.aim`."""

    url: TypeUrl
    content: Content
    whose: int
    leapers: frozenset[int]


CONTENTS = st.dictionaries(st.sampled_from(NAMES), st.integers(0, 2), max_size=4)
WHO = st.integers(0, PROXIES - 1)
CHANGES = st.builds(
    Change,
    st.sampled_from((*SHARED, *OWN, ENDPOINTS, ENDPOINTS)),
    CONTENTS,
    st.integers(0, CLASSES - 1),
    st.frozensets(WHO),
)
EVENTS = st.one_of(
    CHANGES,
    CHANGES,
    st.tuples(st.just("answer"), WHO),
    st.tuples(st.just("answer all")),
    st.tuples(st.just("answer all")),
    st.tuples(st.just("refuse"), WHO, st.sampled_from(NAMES)),
    st.tuples(st.just("ask"), WHO, st.sampled_from((ENDPOINTS, ROUTES)), st.sampled_from(NAMES)),
    st.tuples(st.just("forget"), WHO, st.sampled_from((ENDPOINTS, ROUTES)), st.sampled_from(NAMES)),
    st.tuples(st.just("wait"), st.sampled_from((0.01, 0.3, 0.7, 1.5, 6.0))),
)


@settings(max_examples=250, deadline=None)
@given(st.lists(EVENTS, max_size=25))
def test_streams_that_share_say_what_sessions_of_their_own_say(events: list[Change | tuple[object, ...]]) -> None:
    world = World()
    for event in events:
        _happens(world, event)
    world.now += 20
    for _ in range(40):
        _happens(world, ("answer all",))
        _happens(world, ("wait", 6.0))
    assert not any(twin.unanswered for twin in world.twins)
    for twin in world.twins:
        assert twin.stream.acknowledged() == twin.session.acknowledged()
        assert twin.stream.refused() == twin.session.refused()


def _happens(world: World, event: Change | tuple[object, ...]) -> None:
    match event:
        case Change(url, content, whose, leapers):
            world.change(url, content, whose)
            world.aim(leapers)
        case ("answer", int(who)) if world.twins[who].unanswered:
            world.twins[who].answer(world.now)
        case ("refuse", int(who), str(name)) if world.twins[who].unanswered:
            world.twins[who].answer(world.now, f"{name}: not today")
        case ("answer all",):
            for twin in world.twins:
                while twin.unanswered:
                    twin.answer(world.now)
                    twin.speak(world.now)
        case ("ask", int(who), str(url), str(name)):
            request = DeltaDiscoveryRequest(type_url=url, resource_names_subscribe=[name])
            world.twins[who].hear(request, world.now)
        case ("forget", int(who), str(url), str(name)):
            request = DeltaDiscoveryRequest(type_url=url, resource_names_unsubscribe=[name])
            world.twins[who].hear(request, world.now)
        case ("wait", float(seconds)):
            world.now += seconds
        case _:
            return
    for twin in world.twins:
        twin.speak(world.now)


def test_classes_with_the_same_endpoints_get_the_same_bytes_worked_out_once() -> None:
    world = World()
    world.change(ENDPOINTS, {"a": 1, "b": 0, "c": 0, "d": 0}, 0)
    for number, twin in enumerate(world.twins):
        twin.stream.aim(world.classes[number % CLASSES], NOTHING, world.now)
    assert len({id(twin.stream.state) for twin in world.twins}) == CLASSES
    said = [twin.stream.reply(world.now) for twin in world.twins]
    assert said[0] is not None
    assert len({id(each) for each in said}) == 1
    for twin in world.twins:
        twin.stream.receive(said[0].acknowledgement, world.now)
        assert twin.stream.synced
        assert twin.stream.reply(world.now) is None


def test_who_has_everything_leaps_and_who_does_not_takes_the_long_way() -> None:
    world, everybody = World(), frozenset(range(PROXIES))
    _happens(world, Change(ENDPOINTS, dict.fromkeys(NAMES, 1), 0, everybody))
    assert world.leaps == PROXIES
    _happens(world, Change(ENDPOINTS, dict.fromkeys(NAMES, 2), 0, everybody))
    assert world.leaps == PROXIES, "nobody has acknowledged the first one"
    _happens(world, ("answer all",))
    _happens(world, Change(CLUSTER, dict.fromkeys(NAMES, 1), 0, everybody))
    assert world.leaps == PROXIES, "clusters owe their endpoints"
