"""What is asked of the evaluator, and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from meshwright.model.names import PortNumber, ProxyName
from meshwright.model.origin import Origin
from meshwright.model.published import Published
from meshwright.model.sentence import Sentence


class Application(StrEnum):
    """What the caller's first bytes show."""

    HTTP1 = "http/1.1"
    HTTP2 = "h2c"
    TLS = "tls"  # the caller's own TLS: nobody on the way sees more than the server name
    STREAM = "tcp"


@dataclass(frozen=True, slots=True)
class Call:
    """One request, or one connection.

    `host` is what stands in Host (or :authority); `address` the IP that the caller connects to, "" when its name
    means nothing to the mesh. `path` may hold a query. Names of `headers` are lower-case. `encrypted`: the caller
    speaks TLS to a gateway that ends it, with `host` as its server name.
    """

    host: str
    port: PortNumber
    address: str = ""
    application: Application = Application.HTTP1
    method: str = "GET"
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    encrypted: bool = False

    @property
    def is_http(self) -> bool:
        return self.application in (Application.HTTP1, Application.HTTP2)


@dataclass(frozen=True, slots=True)
class PodView:
    """What a pod is to those who call it. `identity` is its SPIFFE URI; `has_proxy`: an Envoy takes its traffic."""

    name: ProxyName
    identity: str
    has_proxy: bool


@dataclass(frozen=True, slots=True)
class MeshView:
    """The mesh as proxies have it: what is published, pods by address, and for callers without a proxy the endpoints
    ("address:port") of each service address ("address:port").
    """

    published: Published
    pods: Mapping[str, PodView] = field(default_factory=dict[str, PodView])
    services: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    def ports_at(self, address: str) -> tuple[str, ...]:
        """The ports of the service that has this address, which no machine has; none: it is no service's."""
        places = (place.rpartition(":") for place in self.services)
        return tuple(sorted((port for found, _, port in places if found == address), key=int))


class Verdict(StrEnum):
    """What became of one thing that was looked at."""

    MATCHED = "matched"
    SKIPPED = "skipped"
    APPLIED = "applied"
    REFUSED = "refused"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Step:
    """One decision: of which part (`stage`, the Envoy element's `name`), how it went and why, and who wrote it."""

    stage: str
    name: str
    verdict: Verdict
    why: Sentence
    origin: Origin | None = None


class Outcome(StrEnum):
    """forward: sent on; respond: answered by the user's redirect, direct response or certain abort; deny: refused by
    a policy; fail: nothing to send to, or it does not take it.
    """

    FORWARD = "forward"
    RESPOND = "respond"
    DENY = "deny"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Destination:
    """One cluster that gets requests. `weight` is its share as written, 100 when it is the only one; `problem` says
    why requests to it fail, with the `status` that a client sees (None for connections).
    """

    cluster: str
    host: str
    subset: str
    port: int
    weight: int
    endpoints: tuple[str, ...] = ()
    encryption: str = ""  # "mutual TLS", "TLS", "plain", or both words where endpoints differ
    problem: str = ""
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Mirror:
    """Copies go here too; `percentage` of the requests."""

    cluster: str
    percentage: float


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """`type` is delay or abort; `status` an HTTP status (of an abort)."""

    type: str
    percentage: float
    delay_ms: int | None = None
    status: int | None = None
    grpc_status: int | None = None


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What the destination sees instead of what the caller wrote; "" = unchanged."""

    path: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """All of it. `status` is what the caller sees when the mesh itself answers; None when it does not, or for
    connections without HTTP, which are closed.
    """

    outcome: Outcome
    status: int | None = None
    destinations: tuple[Destination, ...] = ()
    timeout_ms: int | None = None
    retries: int = 0
    mirrors: tuple[Mirror, ...] = ()
    faults: tuple[InjectedFault, ...] = ()
    rewrite: Rewritten | None = None
    steps: tuple[Step, ...] = ()
