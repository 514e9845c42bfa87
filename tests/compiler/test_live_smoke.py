"""Two compiled proxies on real Envoys over loopback: every protocol through mutual TLS, in each mode."""

import http.client
import os
import socket
import subprocess
import threading
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from meshwright.compiler.compile import Compiler, static_bootstrap
from meshwright.model.labels import Labels
from meshwright.model.peer_authentication import MutualTlsMode, PeerAuthentication
from meshwright.model.protocol import Protocol
from meshwright.model.proxy import Interception, Proxy, Role, application_address
from meshwright.model.service import Service
from meshwright.model.settings import MeshSettings
from meshwright.model.snapshot import Snapshot
from meshwright.model.workload import Workload
from tests.compiler.certificates import Authority
from tests.compiler.envoys import running
from tests.compiler.meshes import meta, service, workload

HTTP, H2, GRPC, TCP, AUTO = 9080, 9081, 9082, 9083, 9084
PROTOCOLS = {HTTP: Protocol.HTTP, H2: Protocol.HTTP2, GRPC: Protocol.GRPC, TCP: Protocol.TCP, AUTO: Protocol.AUTO}
HIGH, LOW = os.getpid() // 120 % 250, os.getpid() % 120 + 1  # runs beside each other do not meet
CLIENT, SERVER, VIP = f"127.66.{HIGH}.{LOW}", f"127.66.{HIGH}.{LOW + 120}", f"127.68.{HIGH}.{LOW}"
LINE = (
    "peer=%DOWNSTREAM_PEER_URI_SAN% tls=%DOWNSTREAM_TLS_VERSION% protocol=%PROTOCOL% at=%DOWNSTREAM_LOCAL_ADDRESS%\n"
)
PEER = "spiffe://cluster.local/ns/default/sa/bookinfo-client"
MANAGER = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
MODES = (MutualTlsMode.PERMISSIVE, MutualTlsMode.STRICT)


def application(address: str) -> dict[str, Any]:
    """An HTTP/1 and HTTP/2 server of Envoy's own on all ports but TCP and AUTO; answers with what it was asked by."""
    router = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
    manager: dict[str, Any] = {
        "@type": MANAGER,
        "stat_prefix": "app",
        "forward_client_cert_details": "ALWAYS_FORWARD_ONLY",
        "http_filters": [{"name": "router", "typed_config": {"@type": router}}],
        "route_config": {
            "virtual_hosts": [{
                "name": "app", "domains": ["*"],
                "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200},
                            "response_headers_to_add": [
                                {"header": {"key": "seen", "value": "%PROTOCOL%"}},
                                {"header": {"key": "xfcc", "value": "%REQ(x-forwarded-client-cert)%"}}]}],
            }]
        },
    }  # fmt: skip
    return {
        "admin": {"address": {"pipe": {"path": f"/tmp/mwa-{os.getpid()}.sock"}}},
        "static_resources": {
            "listeners": [
                {
                    "address": {"socket_address": {"address": address, "port_value": port}},
                    "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
                }
                for port in (HTTP, H2, GRPC, AUTO)
            ]
        },
    }


@contextmanager
def greeting(address: str) -> Generator[None]:
    """A TCP server that speaks first and then echoes."""
    server = socket.create_server((address, TCP))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.sendall(b"hello ")
                while data := connection.recv(100):
                    connection.sendall(data)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


def mesh(mode: MutualTlsMode) -> tuple[Snapshot, Proxy, Proxy]:
    """A client that names its proxy, with its streams' listeners on loopback too, and a server."""
    backend: Service = service("server", *PROTOCOLS.items(), address=VIP)
    client, server = workload("client", CLIENT), workload("server", SERVER)
    asking = Proxy(client, Role.SIDECAR, Interception.UID)
    named = Proxy(_renamed(client, "named"), Role.SIDECAR, Interception.NONE)
    serving = Proxy(server, Role.SIDECAR, Interception.NONE)
    policy = PeerAuthentication(meta("PeerAuthentication", "default"), mode)
    settings = MeshSettings(access_log_file="/dev/stdout", access_log_format=LINE)
    snapshot = Snapshot(
        settings=settings,
        services=(backend,),
        workloads=(client, server),
        peer_authentications=(policy,),
        proxies=(asking, named, serving),
    )
    return snapshot, asking, serving


def _renamed(pod: Workload, name: str) -> Workload:
    return replace(pod, meta=meta("Pod", name, labels=Labels.of({"app": "client"})))


def on_loopback(bootstrap: dict[str, Any]) -> dict[str, Any]:
    """The listeners of the service's own address are opened, those that need redirection are left out."""
    resources = bootstrap["static_resources"]
    resources["listeners"] = [
        {key: value for key, value in one.items() if key != "bind_to_port"}
        for one in resources["listeners"]
        if one["name"].startswith(VIP)
    ]
    return bootstrap


@pytest.fixture(params=MODES, ids=str)
def mode(request: pytest.FixtureRequest) -> MutualTlsMode:
    return request.param


@pytest.fixture
def logs(mode: MutualTlsMode, tmp_path: Path) -> Iterator[Path]:
    """Everything runs; the value is the server proxy's log."""
    snapshot, asking, serving = mesh(mode)
    named = snapshot.proxies[1]
    published = Compiler(audit=True).compile(snapshot)
    assert published.diagnostics == ()
    authority = Authority()
    with ExitStack() as stack:
        stack.enter_context(greeting(application_address(SERVER)))
        stack.enter_context(running(application(application_address(SERVER)), tmp_path, "app"))
        log = tmp_path
        for name, proxy in (("asking", asking), ("named", named), ("serving", serving)):
            account = proxy.workload.service_account
            secrets = authority.secrets(f"spiffe://cluster.local/ns/default/sa/{account}")
            admin = f"/tmp/mw{name[0]}-{os.getpid()}.sock"
            made = static_bootstrap(published, proxy, snapshot.settings, admin, secrets)
            if name == "asking":
                made = on_loopback(made)
            log = stack.enter_context(running(made, tmp_path, name))
        yield log


def through_proxy(port: int) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(CLIENT, 15001, timeout=20)
    connection.request("GET", f"http://server:{port}/", headers={"host": f"server:{port}"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def line_of(log: Path, port: int, protocol: str) -> str:
    """The newest line about a port, once it is written."""
    for _ in range(200):
        lines = [line for line in log.read_text().splitlines() if line.endswith(f":{port}") and protocol in line]
        if lines:
            return lines[-1]
        threading.Event().wait(0.05)
    raise AssertionError(log.read_text())


def test_http_of_every_version_arrives_by_mutual_tls(logs: Path) -> None:
    for port, seen in ((HTTP, "HTTP/1.1"), (H2, "HTTP/2"), (GRPC, "HTTP/2"), (AUTO, "HTTP/1.1")):
        answer = through_proxy(port)
        assert (answer.status, answer.headers["seen"]) == (200, seen)
        assert f"URI={PEER}" in answer.headers["xfcc"]
        assert line_of(logs, port, seen).startswith(f"peer={PEER} tls=TLSv1.3 protocol={seen}")


def test_connections_arrive_by_mutual_tls(logs: Path) -> None:
    with socket.create_connection((VIP, TCP), timeout=20) as connection:
        assert connection.recv(6) == b"hello "
        connection.sendall(b"you")
        assert connection.recv(3) == b"you"
    assert line_of(logs, TCP, "-").startswith(f"peer={PEER} tls=TLSv1.3")


def test_a_detected_port_takes_http2_and_what_is_not_http(logs: Path) -> None:
    asked = ["curl", "-s", "-i", "--max-time", "20", "--http2-prior-knowledge", f"http://{VIP}:{AUTO}/"]
    answer = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    assert "seen: HTTP/2" in answer
    assert line_of(logs, AUTO, "HTTP/2").startswith(f"peer={PEER} tls=TLSv1.3")
    with socket.create_connection((VIP, AUTO), timeout=20) as connection:
        connection.sendall(b"\x00\x01 not http\r\n\r\n")
        with suppress(ConnectionResetError):
            while connection.recv(1000):
                pass
    assert line_of(logs, AUTO, "protocol=- ").startswith(f"peer={PEER} tls=TLSv1.3")


def refuses(connection: http.client.HTTPConnection) -> bool:
    """Whether the connection is closed instead of answered."""
    try:
        connection.request("GET", "/")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return True
    return False


@pytest.mark.usefixtures("logs")
def test_plain_text_is_taken_where_the_mode_allows_it(mode: MutualTlsMode) -> None:
    for port in (HTTP, AUTO):
        connection = http.client.HTTPConnection(SERVER, port, timeout=20)
        if mode is MutualTlsMode.PERMISSIVE:
            connection.request("GET", "/", headers={"x-forwarded-client-cert": "URI=spiffe://forged"})
            answer = connection.getresponse()
            assert (answer.status, answer.headers.get("xfcc", "")) == (200, "")
        else:
            assert refuses(connection)
        connection.close()
