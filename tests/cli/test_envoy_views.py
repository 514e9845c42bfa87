"""Tables and comparisons out of what Envoys say: the pure part of proxy-config and proxy-status."""

from base64 import b64encode
from typing import Any

import pytest

from meshwright.cli.envoy_dump import Shown
from meshwright.cli.envoy_tables import cluster_parts, endpoint_rows, listener_rows, route_rows
from meshwright.cli.failure import UsageFailure
from meshwright.cli.origins import Origins
from meshwright.cli.proxy_config import Wanted, logging_query
from meshwright.cli.proxy_difference import compare
from meshwright.cli.proxy_facts import joined, refusals_of, since, type_states
from meshwright.cli.redaction import redacted
from meshwright.envoyapi.envoy.config.cluster.v3.cluster_pb2 import Cluster
from meshwright.envoyapi.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from meshwright.model.names import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET

Json = dict[str, Any]


def facts(**changed: Any) -> Json:
    """A proxy that runs everything."""
    return {
        "name": "a.demo",
        "role": "sidecar",
        "connected": True,
        "synced": True,
        "published": {CLUSTER: {"one": "1", "two": "2"}, LISTENER: {"l": "1"}, SECRET: {"default": "k"}},
        "acknowledged": {CLUSTER: {"one": "1", "two": "2"}, LISTENER: {"l": "1"}, SECRET: {"default": "k"}},
        "refused": {},
        "complaints": [],
        "content": {},
        **changed,
    }


def states(told: Json) -> dict[str, str]:
    return {each.type: str(each) for each in type_states(told)}


def test_states_of_types() -> None:
    fine = states(facts())
    assert fine == {
        "CDS": "SYNCED 2/2",
        "LDS": "SYNCED 1/1",
        "EDS": "NOT SENT",
        "RDS": "NOT SENT",
        "SDS": "SYNCED 1/1",
    }
    behind = facts(acknowledged={CLUSTER: {"one": "1", "two": "old"}})
    assert states(behind)["CDS"] == "STALE 1/2"
    assert states(behind)["LDS"] == "STALE 0/1"
    assert states(facts(refused={LISTENER: {"l": "1"}}, acknowledged={}))["LDS"] == "REFUSED 0/1"


def test_what_a_proxy_refuses_is_told_in_its_words() -> None:
    told = facts(
        refused={ROUTES: {"80": "1"}, CLUSTER: {"x": "1"}},
        complaints=[
            {"type": ROUTES, "resource": "80", "message": "no such\n  cluster"},
            {"type": CLUSTER, "resource": None, "message": "a rule fails"},
        ],
    )
    assert refusals_of(told) == ["a.demo refuses RDS 80: no such cluster", "a.demo refuses CDS x: a rule fails"]


def test_synced_is_no_promise_without_the_control_plane() -> None:
    known = {"a.demo": {"synced": True, "change": 7}}
    assert joined(facts(), known)["synced"] is True
    assert joined(facts(), known)["change"] == 7
    assert joined(facts(), {"a.demo": {"synced": False, "change": 6}})["synced"] is False
    assert joined(facts(), None)["synced"] is None
    assert joined(facts(synced=False), None)["synced"] is False


@pytest.mark.parametrize(("moment", "words"), [(None, ""), (99_000, "1s"), (1, "1m"), (-7_200_000, "2h")])
def test_how_long_ago(moment: int | None, words: str) -> None:
    assert since(moment, now=100.0) == words


def test_content_is_compared_and_differences_are_lines() -> None:
    wanted = Cluster(name="one", type=Cluster.DiscoveryType.EDS)
    hosts = ClusterLoadAssignment(cluster_name="one")
    host = hosts.endpoints.add().lb_endpoints.add()
    host.endpoint.address.socket_address.address = "10.0.0.1"
    host.endpoint.address.socket_address.port_value = 80
    content = {
        CLUSTER: {"one": b64encode(wanted.SerializeToString()).decode(), "gone": ""},
        ENDPOINTS: {"one": b64encode(hosts.SerializeToString()).decode()},
    }
    socket = {"socket_address": {"address": "10.0.0.1", "port_value": 80}}
    runs = {"endpoint": {"address": socket, "health_check_config": {}}, "health_status": "HEALTHY"}
    dump: list[Json] = [
        {
            "@type": "type.googleapis.com/envoy.admin.v3.ClustersConfigDump",
            "dynamic_active_clusters": [{"cluster": {"name": "one", "type": "STATIC"}}, {"cluster": {"name": "old"}}],
        },
        {
            "@type": "type.googleapis.com/envoy.admin.v3.EndpointsConfigDump",
            "dynamic_endpoint_configs": [
                {"endpoint_config": {"cluster_name": "one", "endpoints": [{"locality": {}, "lb_endpoints": [runs]}]}}
            ],
        },
    ]
    clusters, endpoints = compare(facts(content=content, published={}), dump)
    assert endpoints.equal == 1
    assert not endpoints.differences
    assert [(each.name, each.kind) for each in clusters.differences] == [
        ("gone", "missing"),
        ("one", "other"),
        ("old", "left over"),
    ]
    assert '-  "type": "EDS"' in clusters.differences[1].lines


def test_keys_are_redacted_at_any_depth() -> None:
    value = {"a": [{"private_key": {"inline_bytes": "c2VjcmV0"}, "name": "x"}], "password": "y"}
    assert redacted(value) == {"a": [{"private_key": "[redacted]", "name": "x"}], "password": "[redacted]"}


def test_parts_of_cluster_names() -> None:
    assert cluster_parts("outbound|80|v1|a.b") == ("outbound", "80", "v1", "a.b")
    assert cluster_parts("xds-grpc") == ("", "", "", "xds-grpc")


def test_rows() -> None:
    listener = {
        "address": {"socket_address": {"address": "0.0.0.0", "port_value": 80}},
        "filter_chains": [
            {
                "filter_chain_match": {"server_names": ["a.com"], "transport_protocol": "tls"},
                "filters": [{"typed_config": {"rds": {"route_config_name": "https.1"}}}],
            }
        ],
        "default_filter_chain": {"filters": [{"typed_config": {"cluster": "PassthroughCluster"}}]},
    }
    rows = list(listener_rows([Shown("x", "active", "1", listener)], Origins()))
    assert [row[:4] for row in rows] == [
        ("0.0.0.0", "80", "SNI: a.com; Trans: tls", "Route: https.1"),
        ("0.0.0.0", "80", "ALL", "Cluster: PassthroughCluster"),
    ]
    route = {
        "match": {"path_separated_prefix": "/v1", "headers": [{"name": "x"}]},
        "redirect": {"host_redirect": "b.com"},
        "metadata": {"filter_metadata": {"istio": {"config": "/apis/g/v1/namespaces/ns/virtual-service/vs"}}},
    }
    config = {"virtual_hosts": [{"name": "h", "domains": ["a", "b", "c"], "routes": [route]}]}
    [row] = route_rows([Shown("80", "active", "1", config)], Origins())
    assert row[:6] == ("80", "h", "a, b + 1 more...", "/v1/* (+1 conditions)", "redirect b.com", "vs.ns")
    host = {"address": {"pipe": {"path": "/s"}}, "health_status": {"failed_outlier_check": True}}
    assert list(endpoint_rows([{"name": "c", "host_statuses": [host]}])) == [
        ("unix:///s", "UNHEALTHY", "FAILED", "c")
    ]


@pytest.mark.parametrize(
    ("level", "query"), [("", ""), ("debug", "level=debug"), ("http:debug,rbac:trace", "paths=http:debug,rbac:trace")]
)
def test_levels(level: str, query: str) -> None:
    assert logging_query(level) == query


@pytest.mark.parametrize("level", ["loud", "http:loud", "debug,info", "http:debug,info"])
def test_strange_levels(level: str) -> None:
    with pytest.raises(UsageFailure):
        logging_query(level)


def test_a_filter_that_means_nothing_is_said() -> None:
    Wanted(fqdn="x").insist("cluster")
    with pytest.raises(UsageFailure, match="--fqdn means nothing for route"):
        Wanted(fqdn="x").insist("route")
    with pytest.raises(UsageFailure, match="--type means nothing"):
        Wanted(kind="HTTP").insist("cluster")
