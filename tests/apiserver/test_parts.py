"""The seam for logs, exec and port-forward: parts of objects that somebody else serves; and how the server stops."""

import asyncio
import threading
from pathlib import Path

import pytest
import websockets
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.websockets import WebSocket

from meshwright.apiserver.access import User
from meshwright.apiserver.api import Part
from meshwright.apiserver.discovery import Subresource
from meshwright.apiserver.options import Target
from tests.apiserver.objects import config_map, config_maps, pods
from tests.apiserver.server import Running, running

CHANNEL = "v5.channel.k8s.io"


async def _log(_request: Request, target: Target, user: User) -> Response:
    return PlainTextResponse(f"{target.namespace}/{target.name} for {user.name}")


async def _exec(websocket: WebSocket, target: Target, _user: User) -> None:
    await websocket.accept(CHANNEL)
    await websocket.send_bytes(b"\x01" + target.name.encode())
    await websocket.close()


PARTS = (
    Part(Subresource("pods", "log", "Pod", ("get",)), http=_log),
    Part(Subresource("pods", "exec", "PodExecOptions", ("create", "get")), socket=_exec),
)


def test_parts_are_served_after_the_same_checks(tmp_path: Path) -> None:
    with running(tmp_path, parts=PARTS) as server:
        names = {item["name"] for item in server.admin.get("/api/v1").json["resources"]}
        assert {"pods/log", "pods/exec"} <= names
        found = server.admin.get(pods("default", "one") + "/log")
        assert found.text == b"default/one for meshwright-admin"
        assert server.reader.get(pods("other", "one") + "/log").status == 403
        assert server.admin.post(pods("default", "one") + "/exec", {}).status == 400
        assert asyncio.run(_over_socket(server, server.token)) == b"\x01one"
        with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
            asyncio.run(_over_socket(server, "wrong"))
        assert refused.value.response.status_code == 401


async def _over_socket(server: Running, token: str) -> bytes | str:
    url = f"wss://127.0.0.1:{server.port}{pods('default', 'one')}/exec"
    headers = {"Authorization": f"Bearer {token}"}
    async with websockets.connect(
        url, ssl=server.tls, additional_headers=headers, subprotocols=[websockets.Subprotocol(CHANNEL)]
    ) as socket:
        assert socket.subprotocol == CHANNEL
        return await socket.recv()


def test_stopping_ends_open_watches(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        admin = server.admin
        with admin.watch(config_maps("kube-system") + "?watch=true&resourceVersion=0") as events:
            admin.must(admin.post(config_maps("kube-system"), config_map()))
            assert events.next()["type"] == "ADDED"
            stopper = threading.Timer(0, server.loop.call_soon_threadsafe, [server.server.close])
            stopper.start()
            assert events.rest() == []
            stopper.join()


def test_objects_survive_a_restart(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        made = server.admin.must(server.admin.post(config_maps("default"), config_map(a="1")))
    with running(tmp_path) as server:
        assert server.admin.get(config_maps("default", "one")).json == made


def test_a_new_certificate_serves_new_connections(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    from meshwright.ca.authority import Authority

    with running(tmp_path) as server:
        before = _certificate(server)
        chain, key = Authority.open(tmp_path / "ca", "cluster.local", datetime.now(UTC)).issue_server(
            ["127.0.0.1"], datetime.now(UTC)
        )
        (tmp_path / "server.pem").write_bytes(chain)
        (tmp_path / "server.key").write_bytes(key)
        server.loop.call_soon_threadsafe(server.server.reload_certificate)
        assert server.admin.get("/healthz").status == 200
        assert _certificate(server) != before


def _certificate(server: Running) -> bytes | None:
    import socket

    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain,
        server.tls.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
    ):
        return secure.getpeercert(binary_form=True)
