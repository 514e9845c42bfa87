"""Random configurations of a small mesh, and requests that probe them; everything follows from one seed."""

import random
from dataclasses import dataclass, field
from typing import Any

import yaml

from tests.evaluator.connections import (
    GATEWAY_TLS_HOST,
    TCP_HOST,
    TCP_PORT,
    TLS_HOST,
    TLS_NAMES,
    TLS_PORT,
    passthrough,
    subsets_rule,
    tcp_rule,
    tls_rule,
)

NAMESPACE = "shop"
BACKENDS = ("cart", "stock", "plain")  # `plain` has no proxy
STREAMS = ((TCP_HOST, "tcp", TCP_PORT), (TLS_HOST, "tls", TLS_PORT))
HTTP_PORT = 8000
SLOW_MS = 500  # how long the slow path takes
PATHS = (
    "/",
    "/cart",
    "/cart/items",
    "/api/v1/users",
    "/API/v1",
    "/static/x.css",
    "/a/../cart",
    "/search?q=tea&lang=en",
    "/status/500",
)
SLOW_PATH = f"/sleep/{SLOW_MS}"
USERS = ("jason", "anna", "")
GATEWAY_HOST = "shop.example.com"
OUTSIDE = "outside.example.com"


@dataclass(frozen=True)
class Probe:
    """One request or connection: `kind` is http, tcp or https (the caller's own TLS); `gateway`: from outside, to
    port 80 or 443.
    """

    kind: str
    host: str
    port: int
    path: str = "/"
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    gateway: bool = False

    @property
    def url(self) -> str:
        port = "" if self.gateway else f":{self.port}"
        return f"{self.kind}://{self.host}{port}{self.path if self.kind == 'http' else ''}"


@dataclass
class Case:
    """One configuration with its probes. `objects` are what changes from case to case."""

    seed: int
    objects: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    probes: list[Probe] = field(default_factory=list[Probe])

    @property
    def text(self) -> str:
        return yaml.safe_dump_all(self.objects, sort_keys=False)


def case(seed: int, probes: int = 50) -> Case:
    """The configuration of a seed."""
    dice = random.Random(seed)
    made = Case(seed)
    subsets = {host: dice.random() < 0.7 for host in BACKENDS[:2]}
    for host, has in subsets.items():
        if has or dice.random() < 0.3:
            made.objects.append(_destination_rule(dice, host, subsets=has))
        if dice.random() < 0.85:
            made.objects.append(_virtual_service(dice, host, subsets))
    if dice.random() < 0.8:
        made.objects += _ingress(dice, subsets)
    if dice.random() < 0.5:
        made.objects.append(_peer_authentication(dice))
    made.objects += _connections(dice)
    if dice.random() < 0.4:
        made.objects.append(_service_entry())
    made.probes = [_probe(dice) for _ in range(probes)]
    return made


def _object(kind: str, name: str, spec: dict[str, Any], group: str = "networking.istio.io/v1") -> dict[str, Any]:
    return {"apiVersion": group, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


def _destination_rule(dice: random.Random, host: str, *, subsets: bool) -> dict[str, Any]:
    spec: dict[str, Any] = {"host": host}
    if subsets:
        spec["subsets"] = [{"name": version, "labels": {"version": version}} for version in ("v1", "v2")]
        if dice.random() < 0.3:
            spec["subsets"].append({"name": "v9", "labels": {"version": "v9"}})  # nobody has it
    mode = dice.choice(["", "", "", "", "ISTIO_MUTUAL", "DISABLE", "SIMPLE"])
    if mode:
        spec["trafficPolicy"] = {"tls": {"mode": mode}}
    return _object("DestinationRule", f"{host}-rule", spec)


def _virtual_service(dice: random.Random, host: str, subsets: dict[str, bool]) -> dict[str, Any]:
    rules = [_rule(dice, host, subsets, last=False) for _ in range(dice.randint(0, 4))]
    if dice.random() < 0.8:
        rules.append(_rule(dice, host, subsets, last=True))
    return _object("VirtualService", f"{host}-routes", {"hosts": [host], "http": rules or [_to(host)]})


def _to(host: str) -> dict[str, Any]:
    return {"route": [{"destination": {"host": host}}]}


def _rule(dice: random.Random, host: str, subsets: dict[str, bool], *, last: bool) -> dict[str, Any]:
    rule: dict[str, Any] = {}
    if not last:
        rule["match"] = [_match(dice) for _ in range(dice.choice([1, 1, 2]))]
    kind = dice.random()
    if kind < 0.1:
        rule["redirect"] = dice.choice(
            [{"uri": "/elsewhere"}, {"authority": "other.example.com", "redirectCode": 307}]
        )
        return rule
    if kind < 0.2:
        rule["directResponse"] = {"status": dice.choice([200, 403, 418, 503]), "body": {"string": "said the proxy"}}
        return rule
    rule["route"] = _destinations(dice, host, subsets)
    if dice.random() < 0.2:
        share = {"value": dice.choice([100, 50])}
        rule["fault"] = {"abort": {"httpStatus": dice.choice([418, 503]), "percentage": share}}
    if dice.random() < 0.15:
        share = {"value": dice.choice([100, 100, 50])}
        rule.setdefault("fault", {})["delay"] = {"fixedDelay": "50ms", "percentage": share}
    if dice.random() < 0.2:
        rule["rewrite"] = dice.choice([{"uri": "/new"}, {"authority": "renamed.example.com"}])
    if dice.random() < 0.2:
        rule["timeout"] = dice.choice(["5s", "200ms", "200ms"])
    if dice.random() < 0.2:
        rule["retries"] = {"attempts": dice.randint(0, 3), "retryOn": dice.choice(["5xx", "connect-failure"])}
    if dice.random() < 0.15:
        rule["mirror"] = {"host": "stock"}
        rule["mirrorPercentage"] = {"value": dice.choice([100, 100, 50])}
    if dice.random() < 0.15:
        rule["headers"] = {"request": {"set": {"x-set": "yes"}}}
    return rule


def _destinations(dice: random.Random, host: str, subsets: dict[str, bool]) -> list[dict[str, Any]]:
    def one() -> dict[str, Any]:
        where = dice.choice([host, host, host, "stock", "plain", "nobody"]) if dice.random() < 0.5 else host
        made: dict[str, Any] = {"host": where}
        if subsets.get(where) and dice.random() < 0.6:
            made["subset"] = dice.choice(["v1", "v2", "v2", "v9"])
        return made

    if dice.random() < 0.6:
        return [{"destination": one()}]
    weight = dice.choice([0, 20, 50, 100])
    return [{"destination": one(), "weight": weight}, {"destination": one(), "weight": 100 - weight}]


def _match(dice: random.Random) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if dice.random() < 0.6:
        made["uri"] = dice.choice(
            [
                {"prefix": "/cart"},
                {"exact": "/cart"},
                {"regex": "/api/v[0-9]+/.*"},
                {"prefix": "/api"},
                {"exact": "/"},
                {"prefix": "/static/"},
            ]
        )
        if dice.random() < 0.2 and "regex" not in made["uri"]:
            made["ignoreUriCase"] = True
    if dice.random() < 0.4:
        made["headers"] = {
            "end-user": dice.choice([{"exact": "jason"}, {"prefix": "a"}, {"regex": "(jason|anna)"}, {}])
        }
    if dice.random() < 0.15:
        made["withoutHeaders"] = {"end-user": dice.choice([{"exact": "jason"}, {}])}
    if dice.random() < 0.2:
        made["method"] = {"exact": dice.choice(["GET", "POST"])}
    if dice.random() < 0.15:
        made["queryParams"] = {"q": dice.choice([{"exact": "tea"}, {"regex": "t.*"}, {"exact": "milk"}])}
    if dice.random() < 0.1:
        made["authority"] = dice.choice([{"prefix": "cart"}, {"exact": GATEWAY_HOST}])
    if dice.random() < 0.1:
        made["sourceLabels"] = {"app": dice.choice(["client", "other"])}
    return made or {"uri": {"prefix": "/cart"}}


def _ingress(dice: random.Random, subsets: dict[str, bool]) -> list[dict[str, Any]]:
    hosts = dice.choice([[GATEWAY_HOST], ["*"], ["*.example.com"]])
    servers: list[dict[str, Any]] = [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": hosts}]
    if dice.random() < 0.15:
        servers[0]["tls"] = {"httpsRedirect": True}
    gateway = _object("Gateway", "shop", {"selector": {"istio": "ingressgateway"}, "servers": servers})
    rules = [_rule(dice, "cart", subsets, last=False) for _ in range(dice.randint(1, 3))]
    rules += [_to("cart")] if dice.random() < 0.6 else []
    for rule in rules:
        for match in rule.get("match", []):
            match.pop("sourceLabels", None)
    spec = {"hosts": dice.choice([[GATEWAY_HOST], hosts]), "gateways": ["shop"], "http": rules}
    return [gateway, _object("VirtualService", "ingress", spec)]


def _peer_authentication(dice: random.Random) -> dict[str, Any]:
    spec: dict[str, Any] = {"mtls": {"mode": dice.choice(["STRICT", "PERMISSIVE", "DISABLE"])}}
    if dice.random() < 0.5:
        spec["selector"] = {"matchLabels": {"app": dice.choice(["cart", "stock"])}}
    return _object("PeerAuthentication", "modes", spec, "security.istio.io/v1")


def _connections(dice: random.Random) -> list[dict[str, Any]]:
    """Rules for `lines` and `secure`."""
    made: list[dict[str, Any]] = []
    subsets = {host: dice.random() < 0.5 for host in (TCP_HOST, TLS_HOST)}
    made += [_object("DestinationRule", f"{host}-rule", subsets_rule(host)) for host, has in subsets.items() if has]
    if dice.random() < 0.5:
        made.append(_object("VirtualService", "lines-routes", tcp_rule(dice, subsets=subsets[TCP_HOST])))
    if dice.random() < 0.6:
        made.append(_object("VirtualService", "secure-routes", tls_rule(dice, subsets=subsets[TLS_HOST])))
    if dice.random() < 0.6:
        gateway, routes = passthrough(dice, subsets=subsets[TLS_HOST])
        made += [_object("Gateway", "passthrough", gateway), _object("VirtualService", "passthrough", routes)]
    return made


def _service_entry() -> dict[str, Any]:
    spec: dict[str, Any] = {
        "hosts": [OUTSIDE],
        "location": "MESH_EXTERNAL",
        "resolution": "STATIC",
        "ports": [{"number": HTTP_PORT, "name": "http", "protocol": "HTTP"}],
        "endpoints": [{"address": "10.244.250.20"}],
    }
    return _object("ServiceEntry", "outside", spec)


def _probe(dice: random.Random) -> Probe:
    headers = tuple(("end-user", user) for user in [dice.choice(USERS)] if user)
    method = dice.choice(["GET", "GET", "GET", "POST"])
    path = SLOW_PATH if dice.random() < 0.04 else dice.choice(PATHS)
    kind = dice.random()
    if kind < 0.08:
        return Probe("tcp", TCP_HOST, TCP_PORT)
    if kind < 0.16:
        return Probe("https", dice.choice(TLS_NAMES), TLS_PORT)
    if kind < 0.22:
        host = dice.choice([GATEWAY_TLS_HOST, GATEWAY_TLS_HOST, "other.example.com", "nobody.test"])
        return Probe("https", host, 0, gateway=True)
    if kind < 0.42:
        host = dice.choice([GATEWAY_HOST, GATEWAY_HOST, "other.example.com", "nobody.test"])
        return Probe("http", host, 0, path, method, headers, gateway=True)
    host = dice.choice(["cart", "cart", "cart", f"cart.{NAMESPACE}", "stock", "stock", "plain"])
    return Probe("http", host, HTTP_PORT, path, method, headers)


def workloads(python: str, programs: str) -> str:
    """The pods and services of the mesh, which stay: a client, three HTTP backends and one that speaks lines."""
    objects: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "istio", "namespace": "istio-system"},
            "data": {"mesh": f'accessLogFile: /dev/stdout\naccessLogFormat: "{LOG_FORMAT}\\n"\n'},
        },
        _deployment("client", "v1", [python, "-m", "meshwright.images.sleep", "infinity"]),
    ]
    for name, protocol, port in STREAMS:
        objects.append(_service(name, protocol, port))
        for version in ("v1", "v2"):
            command = [python, "-m", "meshwright.images.tcpecho", str(port), "line"]
            objects.append(_deployment(name, version, command))
    for name in BACKENDS:
        objects.append(_service(name, "http", HTTP_PORT))
        for version in ("v1", "v2") if name != "plain" else ("v1",):
            command = [python, f"{programs}/echo.py", str(HTTP_PORT)]
            objects.append(_deployment(name, version, command, injected=name != "plain"))
    return yaml.safe_dump_all(objects, sort_keys=False)


LOG_FORMAT = (
    "at=%START_TIME(%s.%6f)% case=%REQ(X-CASE)% cluster=%UPSTREAM_CLUSTER_RAW% "
    "upstream=%UPSTREAM_HOST% attempts=%UPSTREAM_REQUEST_ATTEMPT_COUNT% flags=%RESPONSE_FLAGS%"
)


def _service(name: str, protocol: str, port: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"selector": {"app": name}, "ports": [{"name": protocol, "port": port}]},
    }


def _deployment(name: str, version: str, command: list[str], *, injected: bool = True) -> dict[str, Any]:
    labels = {"app": name, "version": version} | ({} if injected else {"sidecar.istio.io/inject": "false"})
    container = {
        "name": name,
        "image": f"example/{name}",
        "command": command,
        "env": [{"name": "VERSION", "value": version}],
    }
    spec = {
        "selector": {"matchLabels": {"app": name, "version": version}},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    }
    meta = {"name": f"{name}-{version}", "namespace": NAMESPACE}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}
