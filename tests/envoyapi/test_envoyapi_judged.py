"""The real Envoy judges our reading of its field rules: what we refuse it refuses, and the other way round."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message

from meshwright.envoyapi import pool
from meshwright.envoyapi.envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from meshwright.envoyapi.rules import violations
from tools.envoyapi import envoy_binary

Json = dict[str, Any]
ROUTER = {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}
HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"


def bootstrap() -> Json:
    """One listener with one route to one cluster, valid."""
    route = {
        "match": {"prefix": "/"},
        "route": {"cluster": "backend", "timeout": "1s"},
        "request_headers_to_add": [{"header": {"key": "x-a", "value": "b"}}],
    }
    manager = {
        "@type": HCM,
        "stat_prefix": "in",
        "http_filters": [{"name": "router", "typed_config": ROUTER}],
        "route_config": {"name": "r", "virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [route]}]},
    }
    cluster = {
        "name": "backend",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": "backend",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(9)}}]}],
        },
    }
    listener = {
        "name": "l",
        "address": address(0),
        "filter_chains": [{"filters": [{"name": "hcm", "typed_config": manager}]}],
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def address(port: int) -> Json:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def health_check(method: str) -> Json:
    return {
        "timeout": "1s",
        "interval": "1s",
        "unhealthy_threshold": 1,
        "healthy_threshold": 1,
        "http_health_check": {"path": "/", "method": method},
    }


def cluster_of(config: Json) -> Json:
    return config["static_resources"]["clusters"][0]


def manager_of(config: Json) -> Json:
    return config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]


def host_of(config: Json) -> Json:
    return manager_of(config)["route_config"]["virtual_hosts"][0]


def route_of(config: Json) -> Json:
    return host_of(config)["routes"][0]


def endpoint_of(config: Json) -> Json:
    return cluster_of(config)["load_assignment"]["endpoints"][0]["lb_endpoints"][0]


CLUSTER = "static_resources.clusters[0]"
ENDPOINT = f"{CLUSTER}.load_assignment.endpoints[0].lb_endpoints[0]"
LISTENER = "static_resources.listeners[0]"
MANAGER = f"{LISTENER}.filter_chains[0].filters[0].typed_config"
HOST = f"{MANAGER}.route_config.virtual_hosts[0]"
ROUTE = f"{HOST}.routes[0]"

BROKEN: tuple[tuple[str, Callable[[Json], object], str, str], ...] = (
    ("empty name", lambda c: cluster_of(c).update(name=""), f"{CLUSTER}.name", "string.min_len"),
    ("zero time", lambda c: cluster_of(c).update(connect_timeout="0s"), f"{CLUSTER}.connect_timeout", "duration.gt"),
    ("unknown enum", lambda c: cluster_of(c).update(lb_policy=77), f"{CLUSTER}.lb_policy", "enum.defined_only"),
    (
        "excluded enum",
        lambda c: cluster_of(c).update(health_checks=[health_check("CONNECT")]),
        f"{CLUSTER}.health_checks[0].http_health_check.method",
        "enum.not_in",
    ),
    (
        "wrapped number",
        lambda c: endpoint_of(c).update(load_balancing_weight=0),
        f"{ENDPOINT}.load_balancing_weight",
        "uint32.gte",
    ),
    (
        "pattern",
        lambda c: route_of(c).update(match={"path_separated_prefix": "/a/"}),
        f"{ROUTE}.match.path_separated_prefix",
        "string.pattern",
    ),
    (
        "empty map key",
        lambda c: route_of(c).update(metadata={"filter_metadata": {"": {"a": "b"}}}),
        f'{ROUTE}.metadata.filter_metadata[""]',
        "string.min_len",
    ),
    (
        "not among",
        lambda c: manager_of(c).update(scheme_header_transformation={"scheme_to_overwrite": "ftp"}),
        f"{MANAGER}.scheme_header_transformation.scheme_to_overwrite",
        "string.in",
    ),
    (
        "not unique",
        lambda c: route_of(c)["route"].update(internal_redirect_policy={"response_headers_to_copy": ["a", "a"]}),
        f"{ROUTE}.route.internal_redirect_policy.response_headers_to_copy",
        "repeated.unique",
    ),
    (
        "fraction too large",
        lambda c: cluster_of(c).update(preconnect_policy={"per_upstream_preconnect_ratio": 3.5}),
        f"{CLUSTER}.preconnect_policy.per_upstream_preconnect_ratio",
        "double.gte",
    ),
    (
        "required Any",
        lambda c: cluster_of(c).update(upstream_config={"name": "x"}),
        f"{CLUSTER}.upstream_config.typed_config",
        "required",
    ),
    (
        "large number",
        lambda c: endpoint_of(c)["endpoint"].update(address=address(70000)),
        f"{ENDPOINT}.endpoint.address.socket_address.port_value",
        "uint32.lte",
    ),
    ("in an Any", lambda c: manager_of(c).update(stat_prefix=""), f"{MANAGER}.stat_prefix", "string.min_len"),
    ("empty list", lambda c: host_of(c).update(domains=[]), f"{HOST}.domains", "repeated.min_items"),
    ("list item", lambda c: host_of(c).update(domains=["a\nb"]), f"{HOST}.domains[0]", "string.well_known_regex"),
    ("required message", lambda c: route_of(c).pop("match"), f"{ROUTE}.match", "required"),
    ("required oneof", lambda c: route_of(c).update(match={}), f"{ROUTE}.match.path_specifier", "oneof.required"),
    ("no action", lambda c: route_of(c).pop("route"), f"{ROUTE}.action", "oneof.required"),
    (
        "header name",
        lambda c: route_of(c)["request_headers_to_add"][0]["header"].update(key="x\ny"),
        f"{ROUTE}.request_headers_to_add[0].header.key",
        "string.well_known_regex",
    ),
    (
        "header value",
        lambda c: route_of(c)["request_headers_to_add"][0]["header"].update(value="x\ny"),
        f"{ROUTE}.request_headers_to_add[0].header.value",
        "string.well_known_regex",
    ),
    (
        "direct response status",
        lambda c: (route_of(c).pop("route"), route_of(c).update(direct_response={"status": 700})),
        f"{ROUTE}.direct_response.status",
        "uint32.gte",
    ),
)


ACCEPTED: tuple[tuple[str, Callable[[Json], object]], ...] = (
    ("unchanged", lambda _: None),
    ("largest port", lambda c: endpoint_of(c)["endpoint"].update(address=address(65535))),
    ("one in a oneof", lambda c: route_of(c).update(match={"safe_regex": {"regex": "/a.*"}})),
    ("smallest weight", lambda c: endpoint_of(c).update(load_balancing_weight=1)),
    ("lowest status", lambda c: (route_of(c).pop("route"), route_of(c).update(direct_response={"status": 200}))),
    ("metadata", lambda c: route_of(c).update(metadata={"filter_metadata": {"istio": {"config": "/a/b"}}})),
)


def envoy_accepts(config: Message, folder: Path) -> tuple[bool, str]:
    path = folder / "bootstrap.pb"
    path.write_bytes(config.SerializeToString())
    binary, _ = envoy_binary()
    command = [str(binary), "--mode", "validate", "-c", str(path), "-l", "critical"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=40)
    return done.returncode == 0, done.stderr + done.stdout


def made(change: Callable[[Json], object]) -> Bootstrap:
    config = bootstrap()
    change(config)
    return pool.parse_json(config, Bootstrap())


@pytest.mark.parametrize("change", [case[1] for case in ACCEPTED], ids=[case[0] for case in ACCEPTED])
def test_both_accept_what_is_right(change: Callable[[Json], object], tmp_path: Path) -> None:
    config = made(change)
    accepted, said = envoy_accepts(config, tmp_path)
    assert accepted, said
    assert violations(config) == ()


@pytest.mark.parametrize(("mistake", "path", "rule"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_both_refuse_what_is_wrong(mistake: Callable[[Json], object], path: str, rule: str, tmp_path: Path) -> None:
    config = made(mistake)
    accepted, said = envoy_accepts(config, tmp_path)
    assert not accepted
    assert "constraint validation failed" in said
    (violation,) = violations(config)
    assert (violation.path, violation.rule.split()[0]) == (path, rule)


def test_both_refuse_a_type_that_is_not_in_the_binary(tmp_path: Path) -> None:
    config = made(lambda _: None)
    config.static_resources.clusters[0].transport_socket.name = "t"
    config.static_resources.clusters[0].transport_socket.typed_config.type_url = "type.googleapis.com/a.B"
    accepted, said = envoy_accepts(config, tmp_path)
    assert not accepted, said
    (violation,) = violations(config)
    assert str(violation) == (
        "static_resources.clusters[0].transport_socket.typed_config.type_url: "
        "'type.googleapis.com/a.B' breaks any.known_type"
    )
