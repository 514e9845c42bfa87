"""What an object refers to that is not there (yet): known at the door from the objects at hand, told as warnings.

The compiler has the last word: what is missing now may come with the next object. Wrong only towards silence.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from itertools import chain

from meshwright.model import codes
from meshwright.model.destination import Destination
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.objects import MeshObjects
from meshwright.model.origin import Origin
from meshwright.model.virtual_service import VirtualService

MESH = "mesh"


class References:
    """Looks new objects up among those that `known` answers (None while nobody knows)."""

    def __init__(self, known: Callable[[], MeshObjects | None]) -> None:
        self._known = known

    def missing(self, objects: MeshObjects) -> tuple[Diagnostic, ...]:
        """What these refer to and nobody has: hosts, their ports, subsets and gateways of VirtualServices."""
        known = self._known()
        return () if known is None else missing(objects, known)


def missing(objects: MeshObjects, *known: MeshObjects) -> tuple[Diagnostic, ...]:
    """What VirtualServices of `objects` refer to and nobody of `known` has."""
    if not objects.virtual_services:
        return ()
    names = _Names(known)
    return tuple(dict.fromkeys(chain.from_iterable(map(names.missing, objects.virtual_services))))


class _Names:
    def __init__(self, known: Sequence[MeshObjects]) -> None:
        services = [service for each in known for service in each.services]
        rules = [rule for each in known for rule in each.destination_rules]
        self._ports: dict[str, set[int]] = {}
        for service in services:
            self._ports.setdefault(service.host, set()).update(port.number for port in service.ports)
        self._other = {service.host for service in services if service.alias_of is not None}  # ports of another
        self._wild = tuple(host[1:] for host in self._ports if host.startswith("*"))
        self._subsets = {(str(rule.host), subset.name) for rule in rules for subset in rule.subsets}
        self._ruled = tuple(str(rule.host)[1:] for rule in rules if rule.host.startswith("*"))
        self._gateways = {
            f"{gateway.meta.namespace}/{gateway.meta.name}" for each in known for gateway in each.gateways
        }

    def missing(self, rule: VirtualService) -> Iterator[Diagnostic]:
        for index, gateway in enumerate(rule.gateways):
            if gateway != MESH and gateway not in self._gateways:
                at = rule.meta.origin.field("spec").field("gateways").item(index)
                yield Diagnostic(codes.UNKNOWN_GATEWAY, at, (gateway, f"create the Gateway {gateway}"))
        for at, destination in _entries(rule):
            host, subset, port = destination.host, destination.subset, destination.port
            if not (host in self._ports or host.endswith(self._wild)):
                yield Diagnostic(codes.UNKNOWN_HOST, at.field("host"), (host, self._hint(host)))
                continue
            if subset and (host, subset) not in self._subsets and not host.endswith(self._ruled):
                yield Diagnostic(codes.UNKNOWN_SUBSET, at.field("subset"), (subset, host))
            ports = self._ports.get(host, set())
            if port is not None and ports and port not in ports and host not in self._other:
                shown = ", ".join(map(str, sorted(ports)))
                yield Diagnostic(codes.UNKNOWN_PORT, at.field("port").field("number"), (host, str(port), shown))

    def _hint(self, host: str) -> str:
        """The same name misspelt in the same place, else what to create."""
        name, _, place = host.partition(".")
        beside = {known.partition(".")[0]: known for known in self._ports if known.partition(".")[2] == place}
        near = get_close_matches(name, beside, n=1)
        return f"did you mean {beside[near[0]]}?" if near else f"create the Service, or a ServiceEntry for {host}"


def destinations(rule: VirtualService) -> Iterable[tuple[Origin, str, str]]:
    """Everything that a rule sends traffic to: where it is written, host, and subset or ""."""
    for at, destination in _entries(rule):
        yield at, destination.host, destination.subset or ""


def _entries(rule: VirtualService) -> Iterator[tuple[Origin, Destination]]:
    http = (entry for each in rule.http for entry in (*each.route, *each.mirrors))
    streams = (entry for each in (*rule.tcp, *rule.tls) for entry in each.route)
    for entry in (*http, *streams):
        yield entry.origin.field("destination"), entry.destination
