"""Which virtual host, and which of its routes, a request gets."""

from dataclasses import dataclass
from posixpath import normpath

from meshwright.envoyapi.envoy.config.route.v3.route_components_pb2 import Route, VirtualHost
from meshwright.envoyapi.envoy.config.route.v3.route_pb2 import RouteConfiguration
from meshwright.evaluator.matching import why_not
from meshwright.evaluator.values import Call
from meshwright.model.sentence import Sentence


@dataclass(frozen=True, slots=True)
class Tried:
    """A route that was looked at; `why` is the condition that failed, None for the one that is taken."""

    index: int
    route: Route
    why: Sentence | None


def virtual_host(configuration: RouteConfiguration, host: str) -> tuple[VirtualHost | None, str]:
    """The virtual host for a Host header, and the domain of it that matched: an exact one, else the longest suffix
    (`*.shop.io`), else the longest prefix (`shop.*`), else `*`.
    """
    name = without_port(host).lower() if configuration.ignore_port_in_host_matching else host.lower()
    ranked: list[tuple[tuple[int, int], VirtualHost, str]] = []
    for each in configuration.virtual_hosts:
        for domain in each.domains:
            rank = _rank(domain.lower(), name)
            if rank is not None:
                ranked.append((rank, each, domain))
    if not ranked:
        return None, ""
    _, found, domain = max(ranked, key=lambda one: one[0])
    return found, domain


def _rank(domain: str, name: str) -> tuple[int, int] | None:
    if domain == name:
        return 3, 0
    if domain == "*":
        return 0, 0
    if domain.startswith("*"):
        return (2, len(domain)) if name.endswith(domain[1:]) and len(name) >= len(domain) else None
    if domain.endswith("*"):
        return (1, len(domain)) if name.startswith(domain[:-1]) and len(name) >= len(domain) else None
    return None


def without_port(host: str) -> str:
    """A Host header's name alone."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() and not name.endswith(":") else host


def tried(virtual: VirtualHost, call: Call) -> list[Tried]:
    """The routes in the order in which Envoy looks at them, up to the one that takes the request (if any does)."""
    found: list[Tried] = []
    for index, route in enumerate(virtual.routes):
        why = why_not(route.match, call)
        found.append(Tried(index, route, why))
        if why is None:
            break
    return found


def normalized(path: str) -> str:
    """A path as Envoy's `normalize_path` makes it: dots resolved, backslashes turned; the query stays as it is."""
    plain, mark, query = path.partition("?")
    plain = plain.replace("\\", "/").replace("%2e", ".").replace("%2E", ".")
    if "/." in plain:
        ends = plain.endswith(("/", "/.", "/.."))
        leading = len(plain) - len(plain.lstrip("/"))
        plain = "/" * max(leading, 1) + normpath("/" + plain.lstrip("/")).lstrip("/")
        plain += "/" if ends and not plain.endswith("/") else ""
    return plain + mark + query
