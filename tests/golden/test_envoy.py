"""The pinned Envoy accepts what is compiled for every class of proxies of every golden case.

An accepted bootstrap is remembered in .cache/ by its content and by Envoy's version; a refused one never is.
"""

import hashlib
import json
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from meshwright.compiler.compile import StaticSecret, static_bootstrap
from meshwright.compiler.operators import PLAIN, WITH_ARGUMENT, is_accepted
from meshwright.model.names import ResourceName
from meshwright.model.proxy import Proxy
from tests.compiler.certificates import Authority
from tests.compiler.envoys import ENVOY, refusal
from tests.golden.harness import CASES, HERE, Compiled, case_name, compiled

CACHE = HERE.parents[1] / ".cache" / "envoy-accepts"
AT_ONCE = 2
ADMIN = "/tmp/admin.sock"
ARGUMENTS = {
    "CEL": "request.path",
    "CLUSTER_METADATA": "a:b",
    "COMMON_DURATION": "DS_RX_BEG:DS_RX_END:ms",
    "DYNAMIC_METADATA": "a:b",
    "FILTER_STATE": "a:PLAIN",
    "METADATA": "ROUTE:a:b",
    "REQ": ":authority?x-host",
    "UPSTREAM_FILTER_STATE": "a:PLAIN",
    "UPSTREAM_METADATA": "a:b",
}


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def version() -> str:
    return subprocess.run([ENVOY, "--version"], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_envoy_accepts_every_proxy(case: Path, authority: Authority, version: str, tmp_path: Path) -> None:
    result = compiled(case)
    assert result.snapshot.proxies, "a case without proxies shows nothing"
    # proxies of one class have the same resources; what differs is their own names in the bootstrap
    chosen = {result.published.proxies[proxy.name]: proxy for proxy in result.snapshot.proxies}.values()

    def judge(proxy: Proxy) -> str:
        return _judge(_bootstrap(result, proxy, authority), version, tmp_path, proxy.name)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        refused = dict(zip((proxy.name for proxy in chosen), pool.map(judge, chosen), strict=True))
    assert {name: why for name, why in refused.items() if why} == {}


def test_envoy_knows_every_command_that_header_values_may_use(tmp_path: Path) -> None:
    values = [f"%{name}%" for name in sorted(PLAIN)]
    values += [f"%{name}({ARGUMENTS.get(name, 'a')})%" for name in sorted(WITH_ARGUMENT)]
    headers = [{"header": {"key": "x-value", "value": value}} for value in values]
    route = {"match": {"prefix": "/"}, "direct_response": {"status": 200}, "response_headers_to_add": headers}
    assert all(is_accepted(value) for value in values)
    assert _refused_route(route, tmp_path) == ""
    unknown = {**route, "response_headers_to_add": [{"header": {"key": "x", "value": "%FOO%"}}]}
    assert "FOO" in _refused_route(unknown, tmp_path)


def _bootstrap(result: Compiled, proxy: Proxy, authority: Authority) -> dict[str, Any]:
    names = result.published.secrets[result.published.proxies[proxy.name]]
    made = authority.secrets(f"spiffe://cluster.local/ns/{proxy.workload.meta.namespace}/sa/throw-away")
    secrets = {name: made.get(name) or _other_secret(name, made) for name in names}
    return static_bootstrap(result.published, proxy, result.snapshot.settings, ADMIN, secrets)


def _other_secret(name: ResourceName, made: Mapping[ResourceName, StaticSecret]) -> StaticSecret:
    return made[ResourceName("ROOTCA" if name.endswith("-cacert") else "default")]


def _judge(config: dict[str, Any], version: str, folder: Path, name: str) -> str:
    """What Envoy has against the configuration, "" when it accepts it; certificates are new in every run."""
    static = config["static_resources"]
    secrets = [one["name"] for one in static["secrets"]]
    content = json.dumps({**config, "static_resources": {**static, "secrets": secrets}}, sort_keys=True)
    accepted = CACHE / hashlib.sha256(f"{version}\n{content}".encode()).hexdigest()
    if accepted.exists():
        return ""
    why = refusal(config, folder, name)
    if not why:
        CACHE.mkdir(parents=True, exist_ok=True)
        accepted.touch()
    return why


def _refused_route(route: dict[str, Any], folder: Path) -> str:
    types = "type.googleapis.com/envoy.extensions.filters"
    manager = {
        "@type": f"{types}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "test",
        "http_filters": [
            {"name": "router", "typed_config": {"@type": f"{types}.http.router.v3.Router"}},
        ],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
    }
    listener = {
        "name": "test",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    return refusal({"static_resources": {"listeners": [listener]}}, folder)
