"""Services get their cluster IP when they are written, inside of the write: nobody ever sees one without it.

The address follows from the name, so a Service that comes back has the one it had; where another has it, it is the
next free one. It is an address that nothing else uses (240.0.0.0/4 is routed nowhere), and the one the mesh answers.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, cast

from meshwright.store.decide import Fill, Others
from meshwright.store.errors import FieldRefusedError
from meshwright.store.names import Key, Resource
from meshwright.store.version import Version
from meshwright.wiring.addresses import SERVICE_NETWORK, Network, allocate

SERVICES = Resource("", "services")
HEADLESS = "None"
_EXTERNAL_NAME = "ExternalName"
_DOMAIN = "svc.cluster.local"
_FAMILIES: Mapping[str, Any] = {
    "ipFamilies": ["IPv4"],
    "ipFamilyPolicy": "SingleStack",
    "internalTrafficPolicy": "Cluster",
}
Json = dict[str, Any]
Reserved = Callable[[], Collection[str]]


def cluster_addresses(reserved: Reserved = tuple, network: Network = SERVICE_NETWORK) -> Fill:
    """What the store is opened with. `reserved` are addresses that belong to others, as those of ServiceEntries."""

    def fill(
        key: Key, value: Mapping[str, Any], before: Mapping[str, Any] | None, others: Others
    ) -> Mapping[str, Any]:
        if key.resource != SERVICES or not key.name:
            return value
        spec: object = value.get("spec")
        if not isinstance(spec, dict):
            return value
        return {**value, "spec": _Addresses(key, network, reserved, others).given(cast("Json", spec), before)}

    return fill


class _Addresses:
    """One Service on its way into the store."""

    def __init__(self, key: Key, network: Network, reserved: Reserved, others: Others) -> None:
        self._key = key
        self._network = network
        self._reserved = reserved
        self._others = others

    def given(self, spec: Json, before: Mapping[str, Any] | None) -> Json:
        """The spec with its cluster IP. Raises FieldRefusedError."""
        if spec.get("type") == _EXTERNAL_NAME:
            return {name: item for name, item in spec.items() if name not in ("clusterIP", "clusterIPs")}
        asked = address_of(spec)
        had = address_of(_spec_of(before or {}))
        if had and asked and asked != had:
            raise self._refused("Invalid value: field is immutable")
        address = asked or had
        if not address:
            address = self._free()
        elif address not in (HEADLESS, had):
            self._check(address)
        families: Mapping[str, Any] = {} if address == HEADLESS else _FAMILIES
        return {**families, **spec, "clusterIP": address, "clusterIPs": spec.get("clusterIPs") or [address]}

    def _free(self) -> str:
        host = f"{self._key.name}.{self._key.namespace}.{_DOMAIN}"
        taken = set(self._reserved())
        try:
            while True:
                address = allocate([host], self._network, taken)[host]
                if not any(self._naming(address)):
                    return address
                taken.add(address)
        except OverflowError as full:
            raise self._refused(f"Internal error: failed to allocate an address: {full}") from None

    def _check(self, address: str) -> None:
        """Raises FieldRefusedError for one that another Service has. What is no address is told by the readers."""
        for version in self._naming(address):
            if address_of(_spec_of(version.body.value())) == address:
                holder = f"{version.key.namespace}/{version.key.name}"
                raise self._refused(
                    f'Invalid value: ["{address}"]: failed to allocate IP {address}: provided IP is already '
                    f"allocated (to {holder})",
                    "spec.clusterIPs",
                )

    def _naming(self, address: str) -> Iterator[Version]:
        """Other Services that have this text somewhere; without decoding all of them."""
        quoted = f'"{address}"'.encode()
        others = (version for version in self._others(SERVICES) if version.key != self._key)
        return (version for version in others if quoted in version.body.text)

    def _refused(self, why: str, path: str = "spec.clusterIP") -> FieldRefusedError:
        return FieldRefusedError(self._key, "Service", path, why)


def _spec_of(value: Mapping[str, Any]) -> Json:
    spec: object = value.get("spec")
    return cast("Json", spec) if isinstance(spec, dict) else {}


def address_of(spec: Mapping[str, Any]) -> str:
    """The cluster IP that a Service's spec says: an address, "None", or nothing."""
    listed: object = spec.get("clusterIPs")
    first: object = cast("list[object]", listed)[0] if isinstance(listed, list) and listed else ""
    return str(spec.get("clusterIP") or first or "")
