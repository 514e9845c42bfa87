"""The object API of a running mesh: what kubectl speaks with, on the store, with the readers' rules at the door."""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from meshwright.apiserver.access import keep_token, only_token
from meshwright.apiserver.api import make_api
from meshwright.apiserver.kubeconfig import write_kubeconfig
from meshwright.apiserver.namespaces import ensure_namespaces
from meshwright.apiserver.resources import standard_catalogue
from meshwright.apiserver.server import ApiServer, TlsFiles
from meshwright.ca.authority import Authority
from meshwright.ca.files import write
from meshwright.processes.state import DataDirectory
from meshwright.store.store import Store
from meshwright.wiring.validation import field_errors

NAMES = ("localhost", "127.0.0.1", "kubernetes.default.svc")
ADDRESS = "127.0.0.1"
LIFETIME = timedelta(days=1)
KUBECONFIG = "kubeconfig"


@dataclass(frozen=True, slots=True)
class ApiPlace:
    """Where the API is served, and with whose certificates."""

    data: DataDirectory
    port: int
    authority: Authority
    clock: Callable[[], datetime]


class ObjectApi:
    """Make it, then `run` it. The kubeconfig is <data>/kubeconfig (0600)."""

    def __init__(self, store: Store, place: ApiPlace) -> None:
        """Raises OSError when the port cannot be had."""
        self._place = place
        self._store = store
        self._files = TlsFiles(place.data.root / "api" / "server.pem", place.data.root / "api" / "server.key")
        self._files.certificate.parent.mkdir(mode=0o700, exist_ok=True)
        self._issue()
        token = keep_token(place.data.root / "api" / "token")
        api = make_api(store, standard_catalogue(), only_token(token), validate=field_errors)
        self._server = ApiServer(api, _listener(place.port), self._files)
        roots = place.authority.roots_pem
        write_kubeconfig(place.data.root / KUBECONFIG, self._server.address, token, roots)

    async def run(self) -> None:
        """Serve until cancelled; the certificate is renewed at half its life."""
        await ensure_namespaces(self._store)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._server.run())
            tasks.create_task(self._renew())

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(LIFETIME.total_seconds() / 2)
            self._issue()
            self._server.reload_certificate()

    def _issue(self) -> None:
        chain, key = self._place.authority.issue_server(NAMES, self._place.clock(), LIFETIME)
        write(self._files.certificate, chain)
        write(self._files.key, key)


def _listener(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((ADDRESS, port))
    return listener
