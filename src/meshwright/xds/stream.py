"""Equal streams share one state: what one of them worked out, the others only look up.

Most proxies of a class are at the same place and take the same step: the same resources are new, the same response
goes out, the same acknowledgement comes back. So a stream has no session of its own but points at a `State`, which
holds a session for all streams that stand there. A step (an event, and the state it leads to) is worked out on a fork
of the session by the first stream that takes it, and remembered for a second. Streams that came the same way are thus
in the same state; streams that came other ways meet again whenever they have everything. Streams of other classes
take the same stride there (see `stride`).
"""

import math
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Final
from weakref import ref

from meshwright.envoyapi.envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest
from meshwright.model.names import SECRET, ProxyName, ResourceName, TypeUrl, Version
from meshwright.model.published import EncodedResource, Resources
from meshwright.xds.grpc import Framed
from meshwright.xds.session import Answer, Complaint, Rest, Session, Timing
from meshwright.xds.stride import AT_REST, ON_THE_WAY, Stride, news, stride
from meshwright.xds.subscription import NOTHING, Place
from meshwright.xds.witness import Witness

REPLY: Final = "reply"
NOBODY = ProxyName("")
REMEMBERED = 1.0  # seconds; who comes later works it out again, for clocks run in a session
REPLY_REMEMBERED = 0.5  # the bounds of a response begin when it is worked out
MOST_STEPS = 4_096
MOST_STRIDES = 1_024
FEW = 64  # places of rest; so many are not worth a look whether they are left
MOST_BYTES = 32 << 20  # of responses and requests in what is remembered
NODE_TAG = b"\x0a"  # of the field `node`, which is the first one of a request that has it
MORE = 0x80

Secrets = Mapping[ResourceName, EncodedResource]


class State:
    """Where streams stand. `idle_until`: before that time they have nothing to say (loop time; +inf: until something
    happens; -inf: not known yet). `rest` is set when they have everything.
    """

    __slots__ = (
        "__weakref__",
        "_session",
        "_synced",
        "answer",
        "idle_until",
        "resources",
        "rest",
        "secrets",
        "steps",
        "takes_secrets",
    )

    def __init__(self, session: Session, resources: Resources | None, secrets: Secrets) -> None:
        self._session: Session | Callable[[], Session] = session
        self.resources = resources
        self.secrets = secrets
        self.steps: dict[Hashable, Step] = {}
        self.idle_until = -math.inf
        self.answer: Answer | None = None  # what is to be said, when that is known already
        self.rest: Rest | None = None
        self.takes_secrets = session.takes(SECRET)
        self._synced: bool | None = None

    @classmethod
    def on_the_way(cls, before: "State", resources: Resources, session: Callable[[], Session]) -> "State":
        """Where streams stand that something new was given to. Nearly always they go on from there as it is known
        already, so that `session` is not asked.
        """
        state = cls(before.session, resources, before.secrets)
        state._session = session
        state._synced = False
        return state

    @property
    def session(self) -> Session:
        """Not to be changed."""
        if not isinstance(self._session, Session):
            self._session = self._session()
        return self._session

    @property
    def synced(self) -> bool:
        """As `Session.synced`."""
        if self._synced is None:
            self._synced = self.session.synced()
        return self._synced

    def wait(self, now: float) -> None:
        """There is nothing to say now."""
        wake = self.session.wake_at(now)
        self.idle_until = math.inf if wake is None else wake


@dataclass(frozen=True, slots=True)
class Heard:
    """What a request says besides what concerns the state: whose it is, which secrets it names, what was refused."""

    node_id: str
    secrets: frozenset[str]
    complaints: tuple[Complaint, ...]


class Step:
    """From one state to the next; on the way `said` goes out, or more is `heard` than an acknowledgement."""

    __slots__ = ("at", "heard", "said", "state")

    def __init__(self, state: State, at: float, said: Framed | None = None, heard: Heard | None = None) -> None:
        self.state = state
        self.at = at
        self.said = said
        self.heard = heard


class Book:
    """The states and steps of one server's streams."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._nonces = count(1)
        self._blank: dict[TypeUrl | None, State] = {}
        self._settled: dict[Hashable, ref[State]] = {}  # where streams rest; those where none does any more go later
        self._alive = 0  # of these, when they were last looked through
        self._recent: deque[tuple[ref[State], Hashable, float, int]] = (
            deque()
        )  # where steps begin: which, when, bytes
        self._bytes = 0
        self._strides: dict[tuple[Place, int], Stride] = {}  # by where they begin, and the new mapping's identity

    def blank(self, only: TypeUrl | None) -> State:
        """Where every stream begins."""
        if only not in self._blank:
            session = Session(NOBODY, _nobody_hears, self._timing, only=only)
            self._blank[only] = State(session, None, NOTHING)
        return self._blank[only]

    def aimed(self, state: State, resources: Resources, secrets: Secrets, now: float) -> Step:
        """The newest resources are others."""
        aimed = self._in_stride(state, resources, now) if secrets is state.secrets else None
        if aimed is None:
            session = state.session.fork(_nobody_hears)
            session.update({**resources, SECRET: secrets})
            aimed = self._known(State(session, resources, secrets), now)
        step = Step(aimed, now)
        self._remember(state, (id(resources), id(secrets)), step, now)
        if id(resources) not in state.steps:
            self._remember(state, id(resources), step, now)  # there is no leap
        return step

    def leap(self, state: State, resources: Resources, now: float) -> Step | None:
        """From a state at rest, when one type has news, at once to where they are said; what follows is worked out
        with it. None: the way leads over `aimed`.
        """
        found = self._next_stride(state, resources, now)
        return None if found is None else self._leap(state, resources, *found, now)

    def _leap(self, state: State, resources: Resources, at: int, taken: Stride, now: float) -> Step | None:
        if taken.said is None:
            return None
        settled = self._settled_after(state, at, taken, resources)
        url = taken.place.url
        sent = State.on_the_way(state, resources, partial(state.session.standing, url, taken.sent, ON_THE_WAY))
        sent.idle_until = math.inf
        sent.steps[taken.said.acknowledgement] = Step(settled, now)
        step = Step(sent, taken.at, taken.said)
        self._remember(state, id(resources), step, now)
        return step

    def _in_stride(self, state: State, resources: Resources, now: float) -> State | None:
        """The same as the long way of `aimed`, for a state at rest when at most one type has news. None: the long way
        is to be taken.
        """
        if state.rest is not None and state.resources is not None and not news(state.resources, resources):
            return self._resting(state, resources, state.session, state.rest)
        found = self._next_stride(state, resources, now)
        if found is None:
            return None
        at, taken = found
        leap = self._leap(state, resources, at, taken, now)
        if leap is None:
            return self._settled_after(state, at, taken, resources)
        standing = partial(state.session.standing, taken.place.url, taken.aimed, ON_THE_WAY)
        aimed = State.on_the_way(state, resources, standing)
        aimed.steps[REPLY] = leap
        return aimed

    def _next_stride(self, state: State, resources: Resources, now: float) -> tuple[int, Stride] | None:
        """What is taken from a state at rest when one type has news, and the number of that type; None when it is not
        as simple.
        """
        rest = state.rest
        changed = news(state.resources, resources) if rest is not None and state.resources is not None else ()
        if rest is None or len(changed) != 1 or (at := rest.position(changed[0])) is None:
            return None
        taken = self._stride(state.session, rest.types[at], resources, now)
        return None if taken is None else (at, taken)

    def _settled_after(self, state: State, at: int, taken: Stride, resources: Resources) -> State:
        """At rest again, `taken` having changed where the type number `at` stands."""
        rest = state.rest
        assert rest is not None, "strides begin at rest"
        types = (*rest.types[:at], taken.place, *rest.types[at + 1 :])
        session = state.session.standing(taken.place.url, taken.settled, AT_REST)
        return self._resting(state, resources, session, Rest(rest.who, types))

    def _stride(self, session: Session, place: Place, resources: Resources, now: float) -> Stride | None:
        target = resources.get(place.url, NOTHING)
        key = (place, id(target))
        taken = self._strides.get(key)
        if taken is None or now - taken.at > REPLY_REMEMBERED:
            taken = stride(session, place.url, target, str(next(self._nonces)), now)
            self._strides.pop(key, None)  # the newest are last
            if taken is not None:
                self._strides[key] = taken
                self._forget_strides(now)
        return taken

    def _resting(self, before: State, resources: Resources, session: Session, rest: Rest) -> State:
        key = (rest, id(resources), id(before.secrets))
        known = self._settled.get(key)
        state = known() if known is not None else None
        if state is None:
            state = State(session, resources, before.secrets)
            state.idle_until, state.rest = math.inf, rest
            self._settled[key] = ref(state)
        return state

    def told(self, state: State, request: bytes, now: float) -> Step:
        """A request came. Raises as `Session.receive`, and DecodeError."""
        complaints: list[Complaint] = []
        said = DeltaDiscoveryRequest.FromString(request)
        session = state.session.fork(complaints.append)
        session.receive(said)
        known = self._known(State(session, state.resources, state.secrets), now)
        step = Step(known, now, None, _heard(said, session, complaints))
        self._remember(state, request, step, now)
        return step

    def said(self, state: State, now: float) -> Step | None:
        """The next response, or None; then `state.idle_until` is later than now."""
        answer, state.answer = state.answer or state.session.pending(now), None
        if answer is None:
            state.wait(now)
            return None
        session = state.session.fork(_nobody_hears)
        nonce = str(next(self._nonces))
        message = session.write(answer, nonce, now)
        acknowledgement = DeltaDiscoveryRequest(type_url=answer.url, response_nonce=nonce).SerializeToString()
        said = Framed(message, acknowledgement)
        step = Step(State(session, state.resources, state.secrets), now, said)
        self._remember(state, REPLY, step, now)
        return step

    def _known(self, state: State, now: float) -> State:
        """The state that others who have everything are in already, if there is one."""
        state.answer = state.session.pending(now)
        if state.answer is not None:
            return state
        state.wait(now)
        state.rest = state.session.rest(now)
        if state.rest is None:
            return state
        key = (state.rest, id(state.resources), id(state.secrets))
        known = self._settled.get(key)
        other = known() if known is not None else None
        if other is None:
            self._settled[key] = ref(state)
        return other or state

    def _remember(self, state: State, key: Hashable, step: Step, now: float) -> None:
        size = (len(key) if isinstance(key, bytes) else 0) + (step.said.size if step.said is not None else 0)
        state.steps[key] = step
        self._recent.append((ref(state), key, now, size))
        self._bytes += size
        self._forget_steps(now)

    def forget_old(self, now: float) -> None:
        """Nothing is kept longer than it is useful. Most steps are gone by then, with the state where they begin."""
        self._forget_steps(now)
        self._forget_strides(now)
        if len(self._settled) > 2 * self._alive + FEW:
            self._settled = {key: known for key, known in self._settled.items() if known() is not None}
            self._alive = len(self._settled)

    def _forget_strides(self, now: float) -> None:
        strides = self._strides
        while strides and (len(strides) > MOST_STRIDES or next(iter(strides.values())).at + REMEMBERED <= now):
            del strides[next(iter(strides))]

    def _forget_steps(self, now: float) -> None:
        recent = self._recent
        while recent and (len(recent) > MOST_STEPS or self._bytes > MOST_BYTES or recent[0][2] + REMEMBERED <= now):
            begin, key, at, size = recent.popleft()
            self._bytes -= size
            state = begin()
            step = state.steps.get(key) if state is not None else None
            if state is not None and step is not None and step.at == at:
                del state.steps[key]


class Stream:
    """One delta stream of one proxy. Feed it with `aim` and `receive`, ask it with `reply`. `node_id` is what the
    proxy calls itself.
    """

    __slots__ = ("_book", "_complain", "_witness", "node_id", "only", "proxy", "state")

    def __init__(
        self,
        proxy: ProxyName,
        book: Book,
        complain: Callable[[Complaint], None],
        witness: Witness,
        only: TypeUrl | None = None,
    ) -> None:
        """`only` is the one type that a stream of another service than ADS carries."""
        self.proxy = proxy
        self.only = only
        self.state = book.blank(only)
        self._book = book
        self._complain = complain
        self._witness = witness
        self.node_id = ""

    def aim(self, resources: Resources, secrets: Secrets, now: float) -> None:
        """The newest of everything. Secrets count as far as they are asked for here."""
        state = self.state
        if not state.takes_secrets:
            secrets = NOTHING
        if state.resources is resources and state.secrets is secrets:
            return
        step = state.steps.get((id(resources), id(secrets)))
        if step is None or now - step.at > REMEMBERED:
            step = self._book.aimed(state, resources, secrets, now)
        self.state = step.state

    def leap(self, resources: Resources, now: float) -> Step | None:
        """What `aim` at these resources and `reply` would do together, as the response and where it leads, when that
        is one step; nothing is changed by asking. None: it is another way, or secrets may have changed too.
        """
        state = self.state
        if state.takes_secrets:
            return None
        step = state.steps.get(id(resources))
        if step is None or now - step.at > REPLY_REMEMBERED:
            step = self._book.leap(state, resources, now)
        return step if step is not None and step.said is not None else None

    def receive(self, request: bytes, now: float) -> None:
        """A request. Raises as `Session.receive`, DecodeError, and PretenderError."""
        if request[:1] == NODE_TAG:
            node, request = _without_node(request)
            if node:
                self._named(DeltaDiscoveryRequest.FromString(node).node.id)
        step = self.state.steps.get(request)
        if step is None or now - step.at > REMEMBERED:
            step = self._book.told(self.state, request, now)
        if step.heard is not None:
            self._hear(step.heard)
        self.state = step.state

    def _named(self, node_id: str) -> None:
        self._witness.named(node_id)
        self.node_id = self.node_id or node_id

    def _hear(self, heard: Heard) -> None:
        if heard.node_id:
            self._named(heard.node_id)
        if heard.secrets:
            self._witness.asked(heard.secrets)
        for complaint in heard.complaints:
            self._complain(replace(complaint, proxy=self.proxy))

    def reply(self, now: float) -> Framed | None:
        """The next response, or None when there is nothing to say now."""
        state = self.state
        if now < state.idle_until:
            return None
        step = state.steps.get(REPLY)
        if step is None or now - step.at > REPLY_REMEMBERED:
            step = self._book.said(state, now)
            if step is None:
                return None
        self.state = step.state
        return step.said

    # ------------------------------------------------------------ what is known

    @property
    def synced(self) -> bool:
        """Whether the proxy runs everything it should; see `Session.synced`."""
        return self.state.synced

    def acknowledged(self) -> dict[TypeUrl, dict[ResourceName, Version]]:
        """As `Session.acknowledged`."""
        return self.state.session.acknowledged()

    def refused(self) -> dict[tuple[TypeUrl, ResourceName], Version]:
        """As `Session.refused`."""
        return self.state.session.refused()


def _nobody_hears(complaint: Complaint) -> None:
    raise AssertionError(f"nobody listens to {complaint}")


def _heard(said: DeltaDiscoveryRequest, session: Session, complaints: list[Complaint]) -> Heard | None:
    asked = frozenset[str]()
    if SECRET in (session.only, said.type_url):
        asked = frozenset((*said.resource_names_subscribe, *said.initial_resource_versions))
    if not (asked or complaints or said.HasField("node")):
        return None
    return Heard(said.node.id, asked, tuple(complaints))


def _without_node(request: bytes) -> tuple[bytes, bytes]:
    """The part of a request that says who asks, and the rest, which is the same for equal proxies."""
    length = shift = 0
    for at in range(1, min(6, len(request))):
        length |= (request[at] & ~MORE) << shift
        shift += 7
        if request[at] < MORE:
            end = at + 1 + length
            return request[:end], request[end:]
    return b"", request
