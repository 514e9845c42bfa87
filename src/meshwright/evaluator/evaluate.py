"""The one door: a mesh, a caller and a call come in, the ordered decisions and the outcome go out."""

from dataclasses import dataclass, field, replace
from typing import TypeVar

from google.protobuf.message import Message

from meshwright.envoyapi.envoy.config.listener.v3.listener_components_pb2 import FilterChain
from meshwright.envoyapi.envoy.config.listener.v3.listener_pb2 import Listener
from meshwright.envoyapi.envoy.config.route.v3.route_components_pb2 import Route, VirtualHost
from meshwright.envoyapi.envoy.config.route.v3.route_pb2 import RouteConfiguration
from meshwright.envoyapi.envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (  # noqa: E501 - one name
    HttpConnectionManager,
)
from meshwright.envoyapi.envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from meshwright.envoyapi.google.protobuf.any_pb2 import Any
from meshwright.evaluator import actions, listeners, routes, words
from meshwright.evaluator.clusters import PLAIN, Endpoint, endpoints
from meshwright.evaluator.configuration import Configuration
from meshwright.evaluator.sentences import say
from meshwright.evaluator.servers import HTTP_FILTER, trouble
from meshwright.evaluator.values import Answer, Application, Call, Destination, MeshView, Outcome, Step, Verdict
from meshwright.model.names import CLUSTER, ENDPOINTS, LISTENER, ROUTES, ProxyName
from meshwright.model.origin import Origin
from meshwright.model.proxy import Interception, Role
from meshwright.model.sentence import Sentence

M = TypeVar("M", bound=Message)
TCP_FILTER = "envoy.filters.network.tcp_proxy"
FAULT_PLACE = f"typed_per_filter_config[{actions.FAULT_FILTER}]"
OUTBOUND_PORT = 15001
NO_ROUTE, NO_UPSTREAM, MOVED = 404, 503, 301
CLUSTER_NAME_PARTS = 4  # outbound|9080|v1|reviews.default.svc.cluster.local


def evaluate(mesh: MeshView, caller: ProxyName | None, call: Call) -> Answer:
    """Where `call` goes when the pod (or gateway) `caller` gets it. None: the caller has no proxy.

    Raises KeyError for a proxy that is not published.
    """
    walk = _Walk(mesh, call)
    answer = walk.without_proxy() if caller is None else walk.through(Configuration(mesh.published, caller))
    return replace(answer, steps=tuple(walk.steps))


@dataclass(frozen=True, slots=True)
class _Place:
    """A part of a route configuration, to ask who wrote it."""

    configuration: Configuration
    table: str
    path: str

    def inside(self, part: str) -> "_Place":
        return replace(self, path=f"{self.path}.{part}")

    def origin(self, part: str = "") -> Origin | None:
        return self.configuration.origin(ROUTES, self.table, f"{self.path}.{part}" if part else self.path)

    def author(self, part: str) -> Origin | None:
        return self.configuration.author(ROUTES, self.table, f"{self.path}.{part}")


@dataclass(slots=True)
class _Walk:
    """One evaluation; `steps` grows on the way."""

    mesh: MeshView
    call: Call
    steps: list[Step] = field(default_factory=list[Step])

    def _say(self, stage: str, name: str, verdict: Verdict, why: Sentence, origin: Origin | None = None) -> None:
        self.steps.append(Step(stage, name, verdict, why, origin))

    def _fail(self, stage: str, name: str, why: Sentence, status: int | None = None) -> Answer:
        self._say(stage, name, Verdict.MISSING, why)
        return Answer(Outcome.FAIL, status)

    # ------------------------------------------------------------ without a proxy

    def without_proxy(self) -> Answer:
        """The caller's bytes go as they are to an endpoint of the service, or to the address itself."""
        where = f"{self.call.address}:{self.call.port}"
        found = self.mesh.services.get(where, (where,))
        self._say("caller", "no proxy", Verdict.APPLIED, say("no-proxy"))
        made = Destination("", routes.without_port(self.call.host), "", self.call.port, 100)
        if not found:
            why = say("no-endpoint")
            self._say("service", where, Verdict.MISSING, why)
            return Answer(Outcome.FAIL, destinations=(replace(made, problem=str(why)),))
        return _sum_up([self._delivered(made, [_plain(each) for each in found])])

    # ------------------------------------------------------------ listener

    def through(self, configuration: Configuration) -> Answer:
        """From the listener on."""
        connection = self._connection()
        listener = self._listener(configuration, connection)
        if listener is None:
            return self._fail("listener", f"port {self.call.port}", say("no-listener"))
        chosen = listeners.choose(listener, connection)
        origin = configuration.origin(LISTENER, listener.name, chosen.place)
        self._say("listener", listener.name, Verdict.MATCHED, words.listener(self.call), origin)
        if chosen.chain is None:
            return self._fail("filter chain", listener.name, say("no-chain"))
        return self._in_chain(configuration, chosen.chain, origin)

    def _connection(self) -> listeners.Connection:
        call = self.call
        if call.application is Application.TLS or call.encrypted:
            name = call.host.partition(":")[0]
            return listeners.Connection(
                call.address, call.port, is_tls=True, server_name=name, alpn=("h2", "http/1.1")
            )
        alpn = (call.application.value,) if call.is_http else ()
        return listeners.Connection(call.address, call.port, alpn=alpn)

    def _listener(self, configuration: Configuration, connection: listeners.Connection) -> Listener | None:
        kind = configuration.proxy_class
        if kind.role is Role.ROUTER:
            return listeners.bound(configuration, kind.address, self.call.port)
        if kind.interception is Interception.NONE:
            return listeners.named(configuration, f"{kind.address}_{OUTBOUND_PORT}")
        return listeners.redirected(configuration, connection)

    def _in_chain(self, configuration: Configuration, chain: FilterChain, origin: Origin | None) -> Answer:
        for each in chain.filters:
            if each.name == HTTP_FILTER:
                manager = _unpacked(each.typed_config, HttpConnectionManager())
                return self._http(configuration, manager, origin)
            if each.name == TCP_FILTER:
                return self._stream(configuration, chain, _unpacked(each.typed_config, TcpProxy()), origin)
        return self._fail("filter chain", chain.name, say("forwards-nothing"))

    # ------------------------------------------------------------ connections

    def _stream(
        self, configuration: Configuration, chain: FilterChain, proxy: TcpProxy, origin: Origin | None
    ) -> Answer:
        weighted = proxy.weighted_clusters.clusters
        shares = [(each.name, each.weight) for each in weighted] or [(proxy.cluster, 100)]
        if self.call.encrypted:  # this gateway does not end it
            self.call = replace(self.call, application=Application.TLS, encrypted=False)
        self._say("filter chain", chain.name, Verdict.MATCHED, words.stream(self.call, origin), origin)
        return _sum_up([self._to(configuration, name, weight) for name, weight in shares])

    # ------------------------------------------------------------ requests

    def _http(self, configuration: Configuration, manager: HttpConnectionManager, opened: Origin | None) -> Answer:
        """`opened`: who wrote the port, for a gateway's."""
        if not self.call.is_http:
            self._say("protocol", manager.stat_prefix, Verdict.REFUSED, say("not-http"))
            return Answer(Outcome.FAIL)
        if manager.normalize_path.value:
            self.call = replace(self.call, path=routes.normalized(self.call.path))
        name = manager.rds.route_config_name
        known = configuration.routes(name)
        if known is None:
            return self._fail("routes", name, say("no-routes"), NO_ROUTE)
        return self._in_routes(configuration, known, opened)

    def _in_routes(self, configuration: Configuration, known: RouteConfiguration, opened: Origin | None) -> Answer:
        virtual, domain = routes.virtual_host(known, self.call.host)
        if virtual is None:
            return self._fail("virtual host", known.name, say("no-virtual-host", host=self.call.host), NO_ROUTE)
        at = _Place(configuration, known.name, f"virtual_hosts[{virtual.name}]")
        if virtual.require_tls == VirtualHost.ALL and not self.call.encrypted:
            why = say("to-https", status=MOVED)
            self._say("https redirect", virtual.name, Verdict.APPLIED, why, opened)
            return Answer(Outcome.RESPOND, MOVED)
        self._say("virtual host", virtual.name, Verdict.MATCHED, words.domain(self.call.host, domain), at.origin())
        for each in routes.tried(virtual, self.call):
            name, here = each.route.name or f"rule {each.index}", at.inside(f"routes[{each.index}]")
            if each.why is not None:
                self._say("route", name, Verdict.SKIPPED, each.why, here.origin())
                continue
            self._say("route", name, Verdict.MATCHED, words.taken(each.route), here.origin())
            return self._act(configuration, each.route, here)
        return self._fail("route", virtual.name, say("no-rule"), NO_ROUTE)

    def _act(self, configuration: Configuration, route: Route, at: _Place) -> Answer:
        found = actions.faults(route)
        for each in found:
            self._say("fault", each.type, Verdict.APPLIED, words.fault(each), at.origin(FAULT_PLACE))
        abort = actions.certain_abort(found)
        if abort is not None:
            return Answer(Outcome.RESPOND, abort.status, faults=found)
        match route.WhichOneof("action"):
            case "redirect":
                answer = self._redirect(route, at)
            case "direct_response":
                answer = self._respond(route, at)
            case _:
                answer = self._forward(configuration, route, at)
        return replace(answer, faults=found)

    def _redirect(self, route: Route, at: _Place) -> Answer:
        status = actions.REDIRECT_CODES[route.redirect.response_code]
        why = say("redirects", status=status, location=actions.location(route, self.call))
        self._say("redirect", str(status), Verdict.APPLIED, why, at.origin("redirect"))
        return Answer(Outcome.RESPOND, status)

    def _respond(self, route: Route, at: _Place) -> Answer:
        """A direct response without an author is the mesh's own: nothing may be sent there."""
        status, origin = route.direct_response.status, at.origin("direct_response")
        self._say("direct response", str(status), Verdict.APPLIED, say("answers", status=status), origin)
        return Answer(Outcome.FAIL if origin is None else Outcome.RESPOND, status)

    def _forward(self, configuration: Configuration, route: Route, at: _Place) -> Answer:
        action = route.route
        self._tell_settings(route, at)
        shares = actions.shares(action)
        total = sum(share.weight for share in shares)
        made: list[Destination] = []
        for share in shares:
            is_part = len(shares) > 1
            why = say("share", weight=share.weight, total=total) if is_part else say("all-requests")
            self._say("destination", share.cluster, Verdict.MATCHED, why, at.origin(share.place))
            made.append(self._to(configuration, share.cluster, share.weight))
        return replace(
            _sum_up(made),
            timeout_ms=actions.timeout_ms(action),
            retries=actions.retries(action),
            mirrors=actions.mirrors(action),
            rewrite=actions.rewritten(route, self.call),
        )

    def _tell_settings(self, route: Route, at: _Place) -> None:
        """What else happens to a request that is sent on."""
        action = route.route
        timeout, retries = actions.timeout_ms(action), actions.retries(action)
        if timeout is not None:
            why = say("timeout", milliseconds=timeout)
            self._say("timeout", f"{timeout} ms", Verdict.APPLIED, why, at.author("route.timeout"))
        if retries:
            why = say("retries", count=retries, conditions=action.retry_policy.retry_on)
            self._say("retries", str(retries), Verdict.APPLIED, why, at.author("route.retry_policy"))
        rewrite = actions.rewritten(route, self.call)
        if rewrite is not None:
            author = at.author("route.prefix_rewrite") or at.origin()
            self._say("rewrite", rewrite.path or rewrite.host, Verdict.APPLIED, words.rewritten(rewrite), author)
        for index, mirror in enumerate(actions.mirrors(action)):
            why = say("mirror", share=f"{mirror.percentage:g}")
            place = f"route.request_mirror_policies[{index}]"
            self._say("mirror", mirror.cluster, Verdict.APPLIED, why, at.origin(place))

    # ------------------------------------------------------------ destinations

    def _to(self, configuration: Configuration, name: str, weight: int) -> Destination:
        parts = name.split("|")
        _, port, subset, host = parts if len(parts) == CLUSTER_NAME_PARTS else ("", "", "", "")
        made = Destination(
            name, host or routes.without_port(self.call.host), subset, int(port or self.call.port), weight
        )
        cluster = configuration.cluster(name)
        if cluster is None:
            return self._missing(made, say("no-cluster", name=name), None)
        ends = list(endpoints(configuration, cluster, self.call))
        origin = configuration.origin(ENDPOINTS, name) or configuration.origin(CLUSTER, name)
        if not ends:
            why = say("no-endpoint" if name.startswith("outbound") else "leads-nowhere")
            return self._missing(made, why, origin)
        shown = tuple(map(str, ends[:5]))
        one = len(ends) == 1
        why = say("one-endpoint", endpoints=shown) if one else say("endpoints", count=len(ends), endpoints=shown)
        self._say("cluster", name, Verdict.MATCHED, why, origin)
        return self._delivered(made, ends, configuration.author(CLUSTER, name, "transport_socket"))

    def _missing(self, made: Destination, why: Sentence, origin: Origin | None) -> Destination:
        self._say("cluster", made.cluster, Verdict.MISSING, why, origin)
        return replace(made, problem=str(why), status=NO_UPSTREAM if self.call.is_http else None)

    def _delivered(self, made: Destination, ends: list[Endpoint], origin: Origin | None = None) -> Destination:
        """Whether the pods behind the endpoints take it; it fails only where none of them does."""
        kinds = " or ".join(dict.fromkeys(end.encryption.words for end in ends))
        made = replace(made, endpoints=tuple(map(str, ends)), encryption=kinds)
        self._say("encryption", kinds, Verdict.APPLIED, words.encryption(ends, origin), origin)
        troubles = [trouble(self.mesh, end, self.call) for end in ends]
        for why in dict.fromkeys(filter(None, troubles)):
            self._say("server", made.host, Verdict.REFUSED, why)
        if all(troubles):
            return replace(made, problem=str(troubles[0]), status=NO_UPSTREAM if self.call.is_http else None)
        return made


def _sum_up(made: list[Destination]) -> Answer:
    """It is sent on when any of the destinations takes it."""
    if any(not each.problem for each in made):
        return Answer(Outcome.FORWARD, destinations=tuple(made))
    return Answer(Outcome.FAIL, made[0].status if made else None, destinations=tuple(made))


def _plain(place: str) -> Endpoint:
    address, _, port = place.rpartition(":")
    return Endpoint(address, int(port), PLAIN)


def _unpacked(packed: Any, message: M) -> M:
    packed.Unpack(message)
    return message
