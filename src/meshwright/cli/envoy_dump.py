"""The parts of an Envoy's configuration dump, as resources of one type each."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

Json = dict[str, Any]
LISTENER_STATES = (("active_state", "active"), ("warming_state", "warming"), ("draining_state", "draining"))


@dataclass(frozen=True, slots=True)
class Shown:
    """One resource as Envoy holds it. `state` is static, active, warming or draining; `version` is what it was
    published under, "" where Envoy does not say.
    """

    name: str
    state: str
    version: str
    resource: Json


def clusters(dump: Sequence[Json]) -> list[Shown]:
    """All clusters, by name."""
    part = _part(dump, "ClustersConfigDump")
    found = [
        *_plain(part, "static_clusters", "cluster", "static"),
        *_plain(part, "dynamic_active_clusters", "cluster", "active"),
        *_plain(part, "dynamic_warming_clusters", "cluster", "warming"),
    ]
    return sorted(found, key=_order)


def routes(dump: Sequence[Json]) -> list[Shown]:
    """All route configurations, by name; those that are written inside listeners come last."""
    part = _part(dump, "RoutesConfigDump")
    dynamic = sorted(_plain(part, "dynamic_route_configs", "route_config", "active"), key=_order)
    return [*dynamic, *_plain(part, "static_route_configs", "route_config", "static")]


def endpoints(dump: Sequence[Json]) -> list[Shown]:
    """All load assignments that came by EDS."""
    part = _part(dump, "EndpointsConfigDump")
    found = _plain(part, "dynamic_endpoint_configs", "endpoint_config", "active", key="cluster_name")
    return sorted(found, key=_order)


def listeners(dump: Sequence[Json]) -> list[Shown]:
    """All listeners, by name, each in every state that it is in."""
    part = _part(dump, "ListenersConfigDump")
    found = list(_plain(part, "static_listeners", "listener", "static"))
    for each in _items(part, "dynamic_listeners"):
        for field, state in LISTENER_STATES:
            kept = cast("Json | None", each.get(field))
            if kept is not None:
                version = str(kept.get("version_info", ""))
                found.append(Shown(str(each["name"]), state, version, cast("Json", kept["listener"])))
    return sorted(found, key=_order)


def secrets(dump: Sequence[Json]) -> list[Shown]:
    """All secrets, by name; keys are redacted."""
    part = _part(dump, "SecretsConfigDump")
    found = [
        *_plain(part, "static_secrets", "secret", "static"),
        *_plain(part, "dynamic_active_secrets", "secret", "active"),
        *_plain(part, "dynamic_warming_secrets", "secret", "warming"),
    ]
    return sorted(found, key=_order)


def extensions(dump: Sequence[Json]) -> list[Shown]:
    """Filter configurations that came by ECDS."""
    part = _part(dump, "EcdsConfigDump")
    return sorted(_plain(part, "ecds_filters", "ecds_filter", "active"), key=_order)


def bootstrap(dump: Sequence[Json]) -> Json:
    """What Envoy was started with."""
    return cast("Json", _part(dump, "BootstrapConfigDump").get("bootstrap", {}))


def _order(shown: Shown) -> tuple[str, str]:
    return shown.name, shown.state


def _part(dump: Iterable[Json], kind: str) -> Json:
    found = [part for part in dump if str(part.get("@type", "")).endswith(f".{kind}")]
    return found[0] if found else {}


def _items(part: Json, field: str) -> list[Json]:
    return cast("list[Json]", part.get(field, []))


def _plain(part: Json, field: str, member: str, state: str, *, key: str = "name") -> Iterator[Shown]:
    for each in _items(part, field):
        resource = cast("Json", each.get(member, {}))
        name = str(each.get("name") or resource.get(key, ""))
        yield Shown(name, state, str(each.get("version_info", "")), resource)
