"""A real API server on a loopback port with the real store, in a thread of its own; and a plain HTTPS client."""

import asyncio
import contextlib
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop

from meshwright.apiserver.access import ADMIN, AUTHENTICATED, MASTERS, Refused, User, keep_token
from meshwright.apiserver.api import Api, Part, Streams, make_api
from meshwright.apiserver.json_web_tokens import TokenKey
from meshwright.apiserver.kubeconfig import write_kubeconfig
from meshwright.apiserver.namespaces import ensure_namespaces
from meshwright.apiserver.pod_parts import pod_parts
from meshwright.apiserver.pod_streams import PodStreams
from meshwright.apiserver.resources import standard_catalogue
from meshwright.apiserver.server import ApiServer, TlsFiles
from meshwright.apiserver.service_accounts import ServiceAccountTokens
from meshwright.ca.authority import Authority
from meshwright.store.history import whole_meaning
from meshwright.store.limits import Limits
from meshwright.store.sources import system_sources
from meshwright.store.sqlite_engine import SqliteEngine
from meshwright.store.store import Store
from meshwright.wiring.cluster_addresses import cluster_addresses
from meshwright.wiring.validation import Door

READER_TOKEN = "reader"
Json = dict[str, Any]


def may(user: User, verb: str, kind: str, namespace: str) -> bool:
    """The admin everything; the reader reads what is in `default`, but no secrets."""
    if MASTERS in user.groups:
        return True
    return verb in ("get", "list", "watch") and namespace == "default" and not kind.startswith("secrets")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    text: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def warnings(self) -> list[str]:
        return self.headers.get_all("Warning") or []


@dataclass
class Client:
    """One request at a time, each on a connection of its own unless `keep` is used."""

    port: int
    token: str
    tls: ssl.SSLContext
    sent: int = field(default=0)

    def connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=self.tls, timeout=20)

    def ask(self, method: str, path: str, body: Any = None, kind: str = "application/json", **headers: str) -> Answer:
        connection = self.connect()
        try:
            data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            sent = {"Authorization": f"Bearer {self.token}", "Accept": "application/json", **given}
            if data is not None and kind:
                sent["Content-Type"] = kind
            connection.request(method, path, data, sent)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        return self.ask("POST", path, body, **headers)

    def put(self, path: str, body: Any) -> Answer:
        return self.ask("PUT", path, body)

    def delete(self, path: str, body: Any = None) -> Answer:
        return self.ask("DELETE", path, body)

    def merge(self, path: str, body: Any) -> Answer:
        return self.ask("PATCH", path, body, "application/merge-patch+json")

    def strategic(self, path: str, body: Any) -> Answer:
        return self.ask("PATCH", path, body, "application/strategic-merge-patch+json")

    def patch(self, path: str, body: Any) -> Answer:
        return self.ask("PATCH", path, body, "application/json-patch+json")

    def apply(self, path: str, body: Any, manager: str = "test", options: str = "") -> Answer:
        where = f"{path}?fieldManager={manager}{options}"
        return self.ask("PATCH", where, body, "application/apply-patch+yaml")

    def must(self, answer: Answer) -> Any:
        assert answer.status < 300, answer.text.decode()
        return answer.json

    @contextlib.contextmanager
    def watch(self, path: str, accept: str = "application/json") -> Generator["Events"]:
        connection = self.connect()
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {self.token}", "Accept": accept})
            response = connection.getresponse()
            assert response.status == 200, response.read()
            yield Events(response)
        finally:
            connection.close()


@dataclass
class Events:
    response: http.client.HTTPResponse

    def next(self) -> Json:
        line = self.response.readline()
        assert line, "the watch has ended"
        return json.loads(line)

    def rest(self) -> list[Json]:
        return [json.loads(line) for line in self.response.readlines()]


@dataclass
class Running:
    """A server and what leads to it."""

    folder: Path
    port: int
    token: str
    tls: ssl.SSLContext
    api: Api
    loop: asyncio.AbstractEventLoop
    server: ApiServer

    @property
    def admin(self) -> Client:
        return Client(self.port, self.token, self.tls)

    @property
    def reader(self) -> Client:
        return Client(self.port, READER_TOKEN, self.tls)

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def call(self, work: Any) -> Any:
        """Runs a coroutine in the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)


async def _serve(folder: Path, listener: socket.socket, limits: Limits, extras: "Extras", up: "_Up") -> None:
    engine = SqliteEngine(folder / "store")
    store = await Store.open(engine, system_sources(), limits, whole_meaning, cluster_addresses())
    try:
        await ensure_namespaces(store)
        now = datetime.now(UTC)
        authority = Authority.open(folder / "ca", "cluster.local", now)
        chain, key = authority.issue_server(["localhost", "127.0.0.1"], now)
        tls = TlsFiles(folder / "server.pem", folder / "server.key")
        tls.certificate.write_bytes(chain)
        tls.key.write_bytes(key)
        token = keep_token(folder / "token")
        users = {token: User(ADMIN, (MASTERS, AUTHENTICATED)), READER_TOKEN: User("reader", (AUTHENTICATED,))}
        catalogue = standard_catalogue()
        accounts = ServiceAccountTokens(store, TokenKey.keep(folder / "tokens.key"), lambda: datetime.now(UTC))

        async def known(sent: str) -> User | Refused:
            return users.get(sent) or await accounts.authenticate(sent)

        streams = Streams()
        beside = pod_parts(store, extras.machine, streams) if extras.machine is not None else ()
        parts = (*extras.parts, *beside, accounts.part)
        api = make_api(
            store, catalogue, known, allowed=may, validate=Door().field_errors, parts=parts, streams=streams
        )
        accounts.definitions = api.schemas.definitions
        server = ApiServer(api, listener, tls)
        write_kubeconfig(folder / "kubeconfig", server.address, token, authority.roots_pem)
        trust = ssl.create_default_context(cadata=authority.roots_pem.decode())
        loop = asyncio.get_running_loop()
        up.running = Running(folder, listener.getsockname()[1], token, trust, api, loop, server)
        async with asyncio.TaskGroup() as group:
            group.create_task(server.run())
            up.ready.set()
    finally:
        await store.close()


@dataclass(frozen=True)
class Extras:
    """What only some tests have."""

    parts: Sequence[Part]
    machine: PodStreams | None


@dataclass
class _Up:
    """What the thread tells the test."""

    ready: threading.Event = field(default_factory=threading.Event)
    running: Running | None = None
    failed: BaseException | None = None


@contextlib.contextmanager
def running(
    folder: Path, limits: Limits | None = None, parts: Sequence[Part] = (), machine: PodStreams | None = None
) -> Generator[Running]:
    """A server that is ready; stopped, with its thread, at the end."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    up = _Up()

    def run() -> None:
        try:
            uvloop.run(_serve(folder, listener, limits or Limits(), Extras(parts, machine), up))
        except BaseException as error:  # noqa: BLE001 - the test must see it
            up.failed = error
        finally:
            up.ready.set()

    thread = threading.Thread(target=run, name="api server")
    thread.start()
    up.ready.wait(20)
    try:
        assert up.running is not None, f"the server did not start: {up.failed}"
        yield up.running
    finally:
        if up.running is not None:
            up.running.loop.call_soon_threadsafe(up.running.server.close)
        thread.join(20)
        listener.close()
    assert up.failed is None, up.failed
