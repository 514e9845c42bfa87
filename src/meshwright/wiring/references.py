"""What an object refers to that is not there (yet): known at the door from the objects at hand, told as warnings.

The compiler has the last word: what is missing now may come with the next object. Wrong only towards silence.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from meshwright.model import codes
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
        """What these refer to and nobody has: hosts, subsets and gateways of VirtualServices."""
        known = self._known()
        if known is None or not objects.virtual_services:
            return ()
        names = _Names(known)
        return tuple(dict.fromkeys(chain.from_iterable(map(names.missing, objects.virtual_services))))


class _Names:
    def __init__(self, known: MeshObjects) -> None:
        hosts = {str(service.host) for service in known.services}
        self._hosts = hosts
        self._wild = tuple(host[1:] for host in hosts if host.startswith("*"))
        self._subsets = {(str(rule.host), subset.name) for rule in known.destination_rules for subset in rule.subsets}
        self._ruled = tuple(str(rule.host)[1:] for rule in known.destination_rules if rule.host.startswith("*"))
        self._gateways = {f"{gateway.meta.namespace}/{gateway.meta.name}" for gateway in known.gateways}

    def missing(self, rule: VirtualService) -> Iterator[Diagnostic]:
        for index, gateway in enumerate(rule.gateways):
            if gateway != MESH and gateway not in self._gateways:
                at = rule.meta.origin.field("spec").field("gateways").item(index)
                yield Diagnostic(codes.UNKNOWN_GATEWAY, at, (gateway, f"create the Gateway {gateway}"))
        for at, host, subset in destinations(rule):
            if not (host in self._hosts or host.endswith(self._wild)):
                hint = f"create the Service, or a ServiceEntry for {host}"
                yield Diagnostic(codes.UNKNOWN_HOST, at.field("host"), (host, hint))
            elif subset and (host, subset) not in self._subsets and not host.endswith(self._ruled):
                yield Diagnostic(codes.UNKNOWN_SUBSET, at.field("subset"), (subset, host))


def destinations(rule: VirtualService) -> Iterable[tuple[Origin, str, str]]:
    """Everything that a rule sends traffic to: where it is written, host, and subset or ""."""
    for http in rule.http:
        for entry in (*http.route, *http.mirrors):
            yield entry.origin.field("destination"), entry.destination.host, entry.destination.subset or ""
    for stream in (*rule.tcp, *rule.tls):
        for entry in stream.route:
            yield entry.origin.field("destination"), entry.destination.host, entry.destination.subset or ""
