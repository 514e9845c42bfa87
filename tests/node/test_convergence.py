"""Whatever is published, and whenever the stream breaks, the node comes to the newest state, and no byte twice."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from meshwright.model.names import ENDPOINTS, ROUTES
from meshwright.model.planned_pod import DesiredState
from meshwright.model.published import EncodedResource, Published
from meshwright.node.messages import Blob, Commit, Dropped, Rows, decode_down, encode
from meshwright.node.replica import NodeState, Replica
from meshwright.node.state import ClassEncoder, NodeEncoder
from meshwright.node.tables import TableSender, View
from tests.examples import examples
from tests.node.mesh import bytes_of, endpoints, pod, published, resource

NAMES = ("a", "b", "c", "d")
PODS = tuple(pod(name) for name in ("p", "q", "r"))
POOL: dict[tuple[str, str, str], EncodedResource] = {}


def item(url: str, name: str, version: str) -> EncodedResource:
    """Equal resources are sometimes the same object, as the compiler keeps them."""
    return POOL.setdefault((url, name, version), resource(ENDPOINTS if url == "e" else ROUTES, name, version))


ITEMS = st.dictionaries(st.tuples(st.sampled_from("er"), st.sampled_from(NAMES)), st.sampled_from("123"), max_size=5)
State = tuple[Published, DesiredState]
CLASSES = st.dictionaries(st.sampled_from(("one", "two", "three")), ITEMS, min_size=1, max_size=3)


@st.composite
def states(draw: st.DrawFn) -> State:
    classes = {
        name: tuple(item(url, each, version) for (url, each), version in items.items())
        for name, items in draw(CLASSES).items()
    }
    members = draw(st.dictionaries(st.sampled_from("pqrs"), st.sampled_from(sorted(classes)), max_size=4))
    pods = draw(st.permutations(PODS))[: draw(st.integers(0, 3))]
    names = tuple(
        (name, (draw(st.sampled_from(("10.0.0.1", "10.0.0.2"))),))
        for name in draw(st.lists(st.sampled_from(NAMES), max_size=4))
    )
    return published(classes, members, draw(st.integers(0, 9))), DesiredState(tuple(pods), names)


@dataclass
class Pair:
    """Both ends without a socket."""

    classes: ClassEncoder = field(default_factory=ClassEncoder)
    encoder: NodeEncoder = field(default_factory=NodeEncoder)
    sender: TableSender = field(default_factory=TableSender)
    replica: Replica = field(default_factory=Replica)
    view: View | None = None
    state: NodeState | None = None
    resumed: bool = False

    def set(self, state: State) -> None:
        found, desired = state
        self.view = self.encoder.view(found, self.classes.classes(found), desired, {}, b"roots")
        self.sender.aim(self.view)

    def deliver(self, most: int | None = None) -> None:
        while most != 0 and (message := self.sender.next_message()) is not None:
            most = None if most is None else most - 1
            received = decode_down(encode(message))
            assert isinstance(received, Blob | Rows | Dropped | Commit)
            if isinstance(received, Commit):
                self.state = self.replica.commit(received)
                self.resumed = False
                continue
            self.refuse_waste(received)
            self.replica.take(received)

    def refuse_waste(self, message: Blob | Rows | Dropped) -> None:
        if isinstance(message, Blob):
            assert (message.url, message.name, message.version) not in self.replica.resources()
        if isinstance(message, Rows) and not self.resumed:
            rows = self.replica.rows_of(message.table)
            assert rows is None or message.put or message.gone or message.order
            for key, value in message.put:
                assert rows is None or rows.get(key) != value
            for key in message.gone:
                assert rows is not None
                assert key in rows

    def break_off(self) -> None:
        self.replica.interrupt()
        self.sender, self.resumed = TableSender(), True
        hello = self.replica.hello()
        assert self.view is not None
        self.sender.resume(hello.tables, hello.blobs, self.view)

    def restart_node(self) -> None:
        data = self.replica.dump()
        before, self.replica = self.state, Replica()
        if before is not None:
            again = self.replica.load(data)
            assert bytes_of(again.published) == bytes_of(before.published)
            assert again.desired == before.desired
        self.break_off()

    def restart_control_plane(self, state: State) -> None:
        self.classes, self.encoder = ClassEncoder(), NodeEncoder()
        self.set(state)
        self.break_off()


STEP = st.one_of(
    st.tuples(st.sampled_from(("set", "plane")), states()),
    st.tuples(st.just("deliver"), st.integers(0, 12)),
    st.tuples(st.sampled_from(("break", "node")), st.none()),
)
STEPS = st.lists(STEP, max_size=12)


@examples(80, 600)
@given(states(), STEPS)
def test_any_history_converges(first: State, steps: list[tuple[str, State | int | None]]) -> None:
    pair, newest = Pair(), first
    pair.set(newest)
    for step in steps:
        match step:
            case "set", (found, desired):
                newest = found, desired
                pair.set(newest)
            case "plane", (found, desired):
                newest = found, desired
                pair.restart_control_plane(newest)
            case "deliver", int(most):
                pair.deliver(most)
            case "break", _:
                pair.break_off()
            case _:
                pair.restart_node()
    pair.deliver()
    assert pair.state is not None
    found, desired = newest
    mine = {name: key for name, key in found.proxies.items() if name in {each.name for each in desired.pods}}
    used = set(mine.values())
    wanted = Published(
        mine,
        {key: value for key, value in found.classes.items() if key in used},
        {key: value for key, value in found.secrets.items() if key in used},
        change=found.change,
    )
    assert bytes_of(pair.state.published) == bytes_of(wanted)
    assert pair.state.desired == desired
    # nothing is kept that no class refers to
    assert set(pair.replica.resources()) == {
        (each.type_url, each.name, each.version)
        for types in wanted.classes.values()
        for named in types.values()
        for each in named.values()
    }


def test_a_change_costs_what_changed() -> None:
    many = {name: endpoints(f"c{name}", "1", 1_000) for name in range(500)}
    pair, members = Pair(), {"p": "one", "q": "two"}
    desired = DesiredState(PODS)
    pair.set((published({"one": tuple(many.values()), "two": tuple(many.values())}, members), desired))
    sizes: list[int] = []

    def deliver() -> int:
        size = 0
        while (message := pair.sender.next_message()) is not None:
            data = encode(message)
            size += len(data)
            received = decode_down(data)
            if isinstance(received, Commit):
                pair.state = pair.replica.commit(received)
            else:
                assert isinstance(received, Blob | Rows | Dropped)
                pair.replica.take(received)
        return size

    sizes.append(deliver())
    many[7] = endpoints("c7", "2", 1_000)
    pair.set((published({"one": tuple(many.values()), "two": tuple(many.values())}, members), desired))
    before = pair.state
    sizes.append(deliver())
    # one resource, once for both classes, and its row in each
    assert sizes[0] < 500 * 1_000 * 1.3
    assert 1_000 < sizes[1] < 1_500
    # what did not move is the same object
    assert before is not None
    assert pair.state is not None
    assert pair.state.desired is before.desired
    for key, types in pair.state.published.classes.items():
        assert types[ROUTES] is before.published.classes[key][ROUTES]
    # the same state in new objects costs a commit
    again = {name: endpoints(f"c{name}", "2" if name == 7 else "1", 1_000) for name in range(500)}
    pair.set((published({"one": tuple(again.values()), "two": tuple(again.values())}, members), DesiredState(PODS)))
    assert deliver() < 10
