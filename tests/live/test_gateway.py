"""The ingress gateway: HTTP by host, redirect to HTTPS, TLS termination with the Secret's certificate."""

import http.client
import json
import socket
import ssl

from tests.live.mesh import Mesh


def plain(mesh: Mesh, host: str, path: str = "/") -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", mesh.host_port, timeout=10)
    connection.request("GET", path, headers={"host": host})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body


def test_http_by_host(mesh: Mesh) -> None:
    status, headers, body = plain(mesh, "shop.example.com")
    assert status == 200
    assert headers["server"] == "istio-envoy"
    # Envoy writes its own address where the client's is 127.0.0.1.
    assert "x-forwarded-for" in json.loads(body)["headers"]


def test_the_clients_address_is_known(mesh: Mesh) -> None:
    """Though the host's connections come to the gateway by a unix socket."""
    with socket.create_connection(("127.0.0.1", mesh.host_port), 10, source_address=("127.0.0.9", 0)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: shop.example.com\r\nconnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    seen = json.loads(answer.partition(b"\r\n\r\n")[2])["headers"]
    assert seen["x-forwarded-for"] == "127.0.0.9"


def test_routes_and_subsets_hold_at_the_gateway(mesh: Mesh) -> None:
    assert json.loads(plain(mesh, "shop.example.com", "/v2")[2])["version"] == "v2"


def test_other_hosts_are_404(mesh: Mesh) -> None:
    assert plain(mesh, "other.example.com")[0] == 404


def test_redirect_to_https(mesh: Mesh) -> None:
    status, headers, _ = plain(mesh, "secure.example.com", "/x")
    assert (status, headers["location"]) == (301, "https://secure.example.com/x")


def test_https_with_the_secrets_certificate(mesh: Mesh) -> None:
    context = ssl.create_default_context(cafile=str(mesh.programs / "ca.pem"))
    raw = socket.create_connection(("127.0.0.1", mesh.host_tls_port), timeout=10)
    with context.wrap_socket(raw, server_hostname="secure.example.com") as connection:
        connection.sendall(b"GET /tls HTTP/1.1\r\nhost: secure.example.com\r\nconnection: close\r\n\r\n")
        answer = b""
        while data := connection.recv(65536):
            answer += data
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"/tls" in answer
