"""One stream's decisions: what the proxy gets next, and when. No I/O, no clock, no tasks.

Feed it requests with `receive` and newer resources with `update`; ask `reply` until it says None, whenever something
moved or `wake_at` is reached. The order within one flush, and what waits for what:

1. secrets, then clusters, then the endpoints of every cluster that was just sent (a changed cluster warms until its
   endpoints come again, and Envoy does not ask for them);
2. once the clusters are acknowledged (that is: warm), or after `Timing.warming`: filter configurations, listeners
   (with their removals) and routes;
3. what is gone (clusters, endpoints, routes) once the proxy acknowledged everything that came with the removal and
   `Timing.removal` has passed on top.

While a response of a type is in flight, later changes of that type gather, at most for `Timing.patience`: one
warming cluster must not freeze the others. What the proxy asked for is answered at once.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, count
from typing import NamedTuple

from meshwright.envoyapi.envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
)
from meshwright.model.names import (
    CLUSTER,
    ENDPOINTS,
    EXTENSION,
    LISTENER,
    ROUTES,
    SECRET,
    ProxyName,
    ResourceName,
    TypeUrl,
    Version,
)
from meshwright.model.published import Resources
from meshwright.xds.culprit import culprits
from meshwright.xds.subscription import NOTHING, Place, Plan, Sent, Subscription

SEND_ORDER: tuple[TypeUrl, ...] = (SECRET, CLUSTER, ENDPOINTS, EXTENSION, LISTENER, ROUTES)
AFTER_CLUSTERS = (EXTENSION, LISTENER, ROUTES)
HELD_BACK = frozenset({CLUSTER, ENDPOINTS, EXTENSION, ROUTES})
REFERRED_TO = (ENDPOINTS, EXTENSION, ROUTES)
MOST_TYPES = 32
SIDE_BY_SIDE = 2  # responses of a type that are in flight at once, while they are younger than `Timing.warming`
MOST_IN_FLIGHT = 50  # responses of a type; who acknowledges none of them gets no more


@dataclass(frozen=True, slots=True)
class Timing:
    """Bounds in seconds; see the module's text."""

    warming: float = 5.0
    removal: float = 5.0
    patience: float = 0.2


DEFAULT_TIMING = Timing()


@dataclass(frozen=True, slots=True)
class Complaint:
    """A proxy refused something; `resource_name` is None when its words do not say which resource it was."""

    proxy: ProxyName
    type_url: TypeUrl
    nonce: str
    message: str
    resource_name: ResourceName | None


class Answer(NamedTuple):
    """What the next response is about."""

    url: TypeUrl
    plan: Plan


class Rest(NamedTuple):
    """Where a stream stands that has everything: equal rests, equal futures."""

    who: tuple[object, ...]
    types: tuple[Place, ...]

    def position(self, url: TypeUrl) -> int | None:
        """Where in `types` a type is; None when it is unknown on this stream."""
        return next((at for at, place in enumerate(self.types) if place.url == url), None)


class SubscriptionError(Exception):
    """The stream asks for what no real proxy asks for; it should be ended."""


class Session:
    """The state of one delta stream (ADS, or one type alone) of one proxy."""

    def __init__(
        self,
        proxy: ProxyName,
        complain: Callable[[Complaint], None],
        timing: Timing = DEFAULT_TIMING,
        *,
        only: TypeUrl | None = None,
    ) -> None:
        """`only` is the one type that a stream of another service than ADS carries."""
        self.proxy = proxy
        self.node_id = ""
        self._complain = complain
        self._timing = timing
        self.only = only
        self._types = {url: Subscription(url) for url in ((only,) if only else SEND_ORDER)}
        self._own = set(self._types)  # those that no fork shares
        self._acknowledged: dict[TypeUrl, int] = {}  # the generation up to which the proxy runs a type
        self._nonces = count(1)
        self._generation = 0
        self._started: float | None = None  # when the first answer could be given
        self._ready = False

    def fork(self, complain: Callable[[Complaint], None]) -> "Session":
        """The same session once more, whose complaints go elsewhere. Types are shared until one of both changes them;
        a session with forks must only be asked, and written to by `pending`.
        """
        made = Session.__new__(Session)
        made.__dict__.update(
            self.__dict__,
            _complain=complain,
            _types=self._types.copy(),
            _own=set[TypeUrl](),
            _acknowledged=self._acknowledged.copy(),
        )
        self._own.clear()
        return made

    def rest(self, now: float) -> Rest | None:
        """Where a stream stands that has everything. None: it is under way. What only the past told apart is
        forgotten.
        """
        places: list[Place] = []
        for state in self._types.values():
            place = state.place()
            if place is None:
                return None
            places.append(place)
        age = 0.0 if self._started is None else now - self._started
        if not any(self._is_expected(state, age) for state in self._types.values() if not state.known):
            self._started = None if self._started is None else -math.inf
        self._generation = 0
        self._acknowledged.clear()
        return Rest((self.node_id, self._ready, self._started), tuple(places))

    def standing(self, url: TypeUrl, state: Subscription, generation: int) -> "Session":
        """A fork of a session at rest that stands elsewhere with one type: at `state`, which nobody changes."""
        made = Session.__new__(Session)
        made.__dict__.update(
            self.__dict__,
            _types={**self._types, url: state},
            _own=set[TypeUrl](),
            _acknowledged={},  # at rest that is so
            _generation=generation,
        )
        self._own.clear()
        return made

    def subscription(self, url: TypeUrl) -> Subscription:
        """Where it stands with a type that is known to it; not to be changed."""
        return self._types[url]

    # ------------------------------------------------------------ in

    def update(self, resources: Resources) -> None:
        """The newest resources of this proxy, by type. Before the first call nothing is answered."""
        moved = False
        for url, state in self._types.items():
            target = resources.get(url, NOTHING)
            if target is not state.target:
                self._mine(url).aim(target)
                moved = True
        self._generation += moved
        self._ready = True

    def receive(self, request: DeltaDiscoveryRequest) -> None:
        """Take a request in: subscriptions, and the fate of a response. Raises SubscriptionError."""
        if not self.node_id and request.HasField("node"):
            self.node_id = request.node.id
        state = self._asked_for(TypeUrl(request.type_url))
        self._settle(state, request)
        subscribe = {ResourceName(name) for name in request.resource_names_subscribe}
        unsubscribe = {ResourceName(name) for name in request.resource_names_unsubscribe}
        if not state.known:
            held = {ResourceName(n): Version(v) for n, v in request.initial_resource_versions.items()}
            state.first(subscribe, held)
        elif subscribe:
            state.subscribe(subscribe)
        if unsubscribe:
            state.unsubscribe(unsubscribe)

    def _asked_for(self, url: TypeUrl) -> Subscription:
        if self.only is not None and url not in {self.only, ""}:
            raise SubscriptionError(f"this stream carries {self.only}, not {url}")
        if (known := self.only or url) not in self._types:
            if not url or len(self._types) >= MOST_TYPES:
                raise SubscriptionError(f"not a resource type: {url!r}")
            self._types[url] = Subscription(url)
            self._own.add(url)
        return self._mine(known)

    def _mine(self, url: TypeUrl) -> Subscription:
        """The state of a type, to be changed."""
        if url not in self._own:
            self._types[url] = self._types[url].fork()
            self._own.add(url)
        return self._types[url]

    def _settle(self, state: Subscription, request: DeltaDiscoveryRequest) -> None:
        """What the request says about an earlier response, if it does."""
        nonce = request.response_nonce
        sent = state.in_flight.pop(nonce, None) if nonce else None
        if request.HasField("error_detail"):
            self._refused(state, sent, nonce, request.error_detail.message)
        elif sent is not None:
            self._acknowledged[state.url] = max(self._acknowledged.get(state.url, 0), sent.generation)
            state.accept()

    def _refused(self, state: Subscription, sent: Sent | None, nonce: str, message: str) -> None:
        blamed: tuple[ResourceName, ...] = ()
        if sent is not None and sent.added:
            blamed = culprits([item.name for item in sent.added], message)
            state.refuse(sent, blamed)
        words = _without_content(message) if state.url == SECRET else message
        for name in blamed or (None,):
            self._complain(Complaint(self.proxy, state.url, nonce, words, name))

    # ------------------------------------------------------------ out

    def reply(self, now: float) -> bytes | None:
        """The next response (serialised), or None when there is nothing to say now."""
        answer = self.pending(now)
        return None if answer is None else self.write(answer, str(next(self._nonces)), now)

    def pending(self, now: float) -> Answer | None:
        """What is to be said next, if anything; it counts as said when it is given to `write`."""
        if not self._ready:
            return None
        self._release(now)
        warm: bool | None = None
        looked = False
        for url, state in tuple(self._types.items()):
            if not state.known or not state.has_work:
                continue
            if url in AFTER_CLUSTERS:
                warm = self._is_warm(now) if warm is None else warm
                if not warm:
                    continue
            looked = True
            plan = self._mine(url).plan(now, self._generation, hold_back=url in HELD_BACK)
            if plan and not self._gathers(self._types[url], now, urgent=plan.urgent):
                return Answer(url, plan)
        if looked:
            self._release(now)  # what was noted just now may have nothing to wait for but its bound
        return None

    def write(self, answer: Answer, nonce: str, now: float) -> bytes:
        """The response for what `pending` found; `nonce` is another one than those in flight, and a larger number."""
        url, plan = answer.url, answer.plan
        self._mine(url).record(plan, nonce, now, self._generation)
        if url == CLUSTER and plan.fresh:
            self._mine(ENDPOINTS).owe(item.name for item in plan.fresh)
        return response(answer, nonce)

    def _gathers(self, state: Subscription, now: float, *, urgent: bool) -> bool:
        """Whether a change waits for the responses that are in flight: a moment for one, longer for several, and what
        was asked for only when a client acknowledges nothing at all.
        """
        if urgent or len(state.in_flight) >= MOST_IN_FLIGHT:
            return len(state.in_flight) >= MOST_IN_FLIGHT
        ages = [now - sent.at for sent in state.in_flight.values()]
        patience, warming = self._timing.patience, self._timing.warming
        return any(age < patience for age in ages) or sum(age < warming for age in ages) >= SIDE_BY_SIDE

    def _is_warm(self, now: float) -> bool:
        """Whether every cluster that was sent is ready to take traffic, or had its time."""
        clusters = self._types.get(CLUSTER)
        if clusters is None or not clusters.known:
            return True
        if clusters.has_work and (clusters := self._mine(CLUSTER)).plan(now, self._generation, hold_back=True).fresh:
            return not self._waits_for_clusters(clusters, now)
        return not any(now - sent.at < self._timing.warming for sent in clusters.in_flight.values())

    def _waits_for_clusters(self, clusters: Subscription, now: float) -> bool:
        """Unsent clusters hold the rest back, unless what keeps them is older than the bound."""
        oldest = min((sent.at for sent in clusters.in_flight.values()), default=now)
        return now - oldest < self._timing.warming

    def _release(self, now: float) -> None:
        """Removals become due when the proxy runs all that came with them."""
        if self._started is None:
            self._started = now
        leaving = [url for url in HELD_BACK if (state := self._types.get(url)) is not None and state.leaving]
        if not leaving:
            return
        after = [state for url in AFTER_CLUSTERS if (state := self._types.get(url)) is not None]
        for state in after:
            if state.quiet and (state.known or not self._is_expected(state, now - self._started)):
                self._acknowledged[state.url] = self._generation
        each = (self._acknowledged.get(state.url, 0) for state in after)
        acknowledged = min(each, default=self._generation)
        for url in leaving:
            self._mine(url).release(acknowledged, now + self._timing.removal)

    def _is_expected(self, state: Subscription, age: float) -> bool:
        """Whether a type that was not asked for yet will be, on a stream that is `age` seconds old."""
        return age < self._timing.warming and (state.url == LISTENER or bool(state.target))

    def wake_at(self, now: float) -> float | None:
        """When `reply` may have something to say though nothing moved; None when never."""
        times: list[float] = []
        leaves = False
        waits = any(state.has_work for state in self._types.values())
        for state in self._types.values():
            for sent in state.in_flight.values() if waits else ():
                times += (sent.at + self._timing.patience, sent.at + self._timing.warming)
            if state.leaving:
                leaves = True
                times += [entry.due for entry in state.leaving.values() if entry.due is not None]
        if leaves and self._started is not None:
            times.append(self._started + self._timing.warming)  # from then on nobody waits for unasked types
        return min((time for time in times if time > now), default=None)

    # ------------------------------------------------------------ what is known

    def takes(self, url: TypeUrl) -> bool:
        """Whether a type is asked for here, or may be nothing else."""
        state = self._types.get(url)
        return state is not None and (state.known or self.only == url)

    def synced(self) -> bool:
        """Whether the proxy runs everything it should: all sent, all acknowledged, all that is named asked for.

        Removals that are held back do not count. Resources that nothing refers to must not be in the target,
        and so an unasked name means that a listener or cluster has not got so far; unless one was refused.
        """
        if not self._ready or not all(state.quiet for state in self._types.values()):
            return False
        if self.only is not None:
            return self._types[self.only].known
        listeners, clusters = self._types[LISTENER], self._types[CLUSTER]
        if not (listeners.known and clusters.known):
            return False
        if listeners.refused or clusters.refused:
            return True
        return all(self._types[url].names >= self._types[url].target.keys() for url in REFERRED_TO)

    def acknowledged(self) -> dict[TypeUrl, dict[ResourceName, Version]]:
        """What the proxy runs, as far as it said so."""
        return {url: state.versions() for url, state in self._types.items() if state.known}

    def refused(self) -> dict[tuple[TypeUrl, ResourceName], Version]:
        """What this proxy does not get again, because it refused that very version."""
        return {(url, n): version for url, state in self._types.items() for n, version in state.refused.items()}


def response(answer: Answer, nonce: str) -> bytes:
    """A DeltaDiscoveryResponse, serialised; what it carries is not encoded again."""
    head = DeltaDiscoveryResponse(type_url=answer.url, nonce=nonce, removed_resources=answer.plan.gone)
    return b"".join((head.SerializeToString(), *chain.from_iterable(item.pieces for item in answer.plan.fresh)))


def _without_content(message: str) -> str:
    """Words about a secret, cut before Envoy may have begun to quote it."""
    return re.split(r"[{\n]|name: |inline|-----", message, maxsplit=1)[0].strip()[:300]
