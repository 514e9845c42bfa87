"""Rows of people's tables out of an Envoy's resources: the columns are istioctl's, and ORIGIN is ours."""

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from meshwright.cli.envoy_dump import Shown
from meshwright.cli.origins import Origins
from meshwright.model.names import CLUSTER, LISTENER, ROUTES

Json = dict[str, Any]
Row = tuple[str, ...]
CLUSTER_HEAD = ("SERVICE FQDN", "PORT", "SUBSET", "DIRECTION", "TYPE", "DESTINATION RULE", "ORIGIN")
LISTENER_HEAD = ("ADDRESSES", "PORT", "MATCH", "DESTINATION", "ORIGIN")
ROUTE_HEAD = ("NAME", "VHOST NAME", "DOMAINS", "MATCH", "ROUTE", "VIRTUAL SERVICE", "ORIGIN")
ENDPOINT_HEAD = ("ENDPOINT", "STATUS", "OUTLIER CHECK", "CLUSTER")
SECRET_HEAD = ("RESOURCE NAME", "TYPE", "STATUS", "VALID CERT", "SERIAL NUMBER", "NOT AFTER", "NOT BEFORE")
NAME_PARTS = 4
MATCHES = (("prefix", "*"), ("path", ""), ("path_separated_prefix", "/*"))


def cluster_parts(name: str) -> tuple[str, str, str, str]:
    """Direction, port, subset and host of a cluster's name; only the host of a name without these parts."""
    parts = name.split("|")
    if len(parts) != NAME_PARTS:
        return "", "", "", name
    return parts[0], parts[1], parts[2], parts[3]


def cluster_rows(found: Iterable[Shown], origins: Origins) -> Iterator[Row]:
    """One per cluster."""
    for each in found:
        direction, port, subset, host = cluster_parts(each.name)
        kind = str(each.resource.get("type", "STATIC"))
        rule = _config(each.resource)
        yield host, port, subset, direction, kind, rule, origins.at(CLUSTER, each.name)


def _config(resource: Json) -> str:
    """NAME.NAMESPACE of the Istio object in the metadata."""
    metadata = cast("Json", cast("Json", resource.get("metadata", {})).get("filter_metadata", {}))
    path = str(cast("Json", metadata.get("istio", {})).get("config", ""))
    parts = path.split("/")
    return f"{parts[-1]}.{parts[-3]}" if len(parts) >= NAME_PARTS else ""


# ------------------------------------------------------------ listeners


def listener_address(listener: Json) -> tuple[str, str]:
    """Address and port; a socket's path and "0" for a pipe."""
    address = cast("Json", listener.get("address", {}))
    if "pipe" in address:
        return str(address["pipe"].get("path", "")), "0"
    place = cast("Json", address.get("socket_address", {}))
    return str(place.get("address", "")), str(place.get("port_value", 0))


def listener_rows(found: Iterable[Shown], origins: Origins) -> Iterator[Row]:
    """One per filter chain."""
    for each in found:
        address, port = listener_address(each.resource)
        origin = origins.at(LISTENER, each.name)
        for number, chain in enumerate(each.resource.get("filter_chains", [])):
            own = origins.at(LISTENER, each.name, f"filter_chains[{chain.get('name', number)}]")
            match = _chain_match(chain.get("filter_chain_match", {}))
            yield address, port, match, _destination(chain), own or origin
        if (last := each.resource.get("default_filter_chain")) is not None:
            yield address, port, "ALL", _destination(last), origin


def listener_kind(listener: Json) -> str:
    """HTTP, TCP or HTTP+TCP by its filter chains."""
    chains = cast("list[Json]", [*listener.get("filter_chains", []), listener.get("default_filter_chain") or {}])
    names = {str(each.get("name", "")) for chain in chains for each in chain.get("filters", [])}
    http = any(name.endswith("http_connection_manager") for name in names)
    tcp = any(name.endswith("tcp_proxy") for name in names)
    return "HTTP+TCP" if http and tcp else "HTTP" if http else "TCP"


def _chain_match(match: Json) -> str:
    ranges = (f"{each['address_prefix']}/{each.get('prefix_len', 0)}" for each in match.get("prefix_ranges", []))
    parts = (
        ("SNI", ",".join(match.get("server_names", []))),
        ("Trans", str(match.get("transport_protocol", ""))),
        ("App", ",".join(match.get("application_protocols", []))),
        ("Addr", ",".join(ranges)),
        ("Port", str(match.get("destination_port", ""))),
    )
    return "; ".join(f"{word}: {value}" for word, value in parts if value) or "ALL"


def _destination(chain: Json) -> str:
    for each in cast("list[Json]", chain.get("filters", [])):
        settings = cast("Json", each.get("typed_config", {}))
        if "rds" in settings:
            return f"Route: {settings['rds'].get('route_config_name', '')}"
        if "route_config" in settings:
            return f"Inline Route: {_inline(settings['route_config'])}"
        if "cluster" in settings:
            return f"Cluster: {settings['cluster']}"
        if "weighted_clusters" in settings:
            parts = cast("list[Json]", settings["weighted_clusters"].get("clusters", []))
            return "Cluster: " + ", ".join(f"{part['name']} ({part.get('weight', 0)})" for part in parts)
    return ""


def _inline(config: Json) -> str:
    hosts = cast("list[Json]", config.get("virtual_hosts", []))
    return ", ".join(_route_match(route.get("match", {})) for host in hosts for route in host.get("routes", []))


# ------------------------------------------------------------ routes


def route_rows(found: Iterable[Shown], origins: Origins) -> Iterator[Row]:
    """One per route."""
    for each in found:
        for host in cast("list[Json]", each.resource.get("virtual_hosts", [])):
            place = f"virtual_hosts[{host.get('name', '')}]"
            whole = origins.at(ROUTES, each.name, place)
            head = (each.name, str(host.get("name", "")), _domains(host.get("domains", [])))
            for number, route in enumerate(cast("list[Json]", host.get("routes", []))):
                own = origins.at(ROUTES, each.name, f"{place}.routes[{number}]")
                match = _route_match(route.get("match", {}))
                yield *head, match, _action(route), _config(route), own or whole


def _domains(names: Sequence[str]) -> str:
    if len(names) <= 2:  # noqa: PLR2004 - as many as are easily read
        return ", ".join(names)
    return f"{names[0]}, {names[1]} + {len(names) - 2} more..."


def _route_match(match: Json) -> str:
    path = next((f"{match[field]}{end}" for field, end in MATCHES if field in match), "")
    if "safe_regex" in match:
        path = f"regex {match['safe_regex'].get('regex', '')}"
    further = len(match.get("headers", [])) + len(match.get("query_parameters", []))
    return f"{path} (+{further} conditions)" if further else path


def _action(route: Json) -> str:
    """Where the route leads, in a few words."""
    if "direct_response" in route:
        return f"answer {route['direct_response'].get('status', '')}"
    if "redirect" in route:
        to = cast("Json", route["redirect"])
        return f"redirect {to.get('host_redirect', '')}{to.get('path_redirect', '') or to.get('prefix_rewrite', '')}"
    to = cast("Json", route.get("route", {}))
    if "weighted_clusters" in to:
        parts = cast("list[Json]", to["weighted_clusters"].get("clusters", []))
        return ", ".join(f"{part['name']} {part.get('weight', 0)}" for part in parts)
    return str(to.get("cluster", ""))


# ------------------------------------------------------------ endpoints


def endpoint_address(host: Json) -> tuple[str, str]:
    """Address and port of one host; a socket's path and "" for a pipe."""
    address = cast("Json", host.get("address", {}))
    if "pipe" in address:
        return f"unix://{address['pipe'].get('path', '')}", ""
    place = cast("Json", address.get("socket_address", {}))
    return str(place.get("address", "")), str(place.get("port_value", 0))


def endpoint_status(host: Json) -> str:
    """HEALTHY, UNHEALTHY or what EDS says (DRAINING, DEGRADED ...)."""
    health = cast("Json", host.get("health_status", {}))
    if any(health.get(flag) for flag in ("failed_active_health_check", "failed_outlier_check")):
        return "UNHEALTHY"
    return str(health.get("eds_health_status", "UNKNOWN"))


def endpoint_rows(statuses: Iterable[Json]) -> Iterator[Row]:
    """One per host and cluster."""
    for cluster in statuses:
        for host in cast("list[Json]", cluster.get("host_statuses", [])):
            address, port = endpoint_address(host)
            failed = host.get("health_status", {}).get("failed_outlier_check")
            shown = f"{address}:{port}" if port else address
            yield shown, endpoint_status(host), "FAILED" if failed else "OK", str(cluster.get("name", ""))


# ------------------------------------------------------------ secrets


def secret_rows(found: Iterable[Shown], now: datetime) -> Iterator[Row]:
    """One per certificate; of a chain the first counts."""
    for each in found:
        kind, certificates = _certificates(each.resource)
        for certificate in certificates[:1] if kind == "Cert Chain" else certificates:
            after, before = certificate.not_valid_after_utc, certificate.not_valid_before_utc
            valid = "true" if before <= now <= after else "false"
            serial = f"{certificate.serial_number:x}"
            yield each.name, kind, each.state.upper(), valid, serial, _time(after), _time(before)
        if not certificates:
            yield each.name, kind, each.state.upper(), "", "", "", ""


def _certificates(secret: Json) -> tuple[str, Sequence[Any]]:
    from cryptography import x509

    if "tls_certificate" in secret:
        kind, source = "Cert Chain", cast("Mapping[str, Any]", secret["tls_certificate"]).get("certificate_chain", {})
    else:
        kind, source = "CA", cast("Mapping[str, Any]", secret.get("validation_context", {})).get("trusted_ca", {})
    text = base64.b64decode(source["inline_bytes"]) if "inline_bytes" in source else b""
    text = text or str(source.get("inline_string", "")).encode()
    return kind, x509.load_pem_x509_certificates(text) if text else []


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
