"""The object API of a running mesh: what kubectl speaks with, on the store, with the readers' rules at the door."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from meshwright.agent.settings import Rung
from meshwright.apiserver.access import keep_token, one_of, only_token
from meshwright.apiserver.api import Streams, make_api
from meshwright.apiserver.json_web_tokens import TokenKey
from meshwright.apiserver.kubeconfig import write_kubeconfig
from meshwright.apiserver.namespaces import ensure_namespaces
from meshwright.apiserver.pod_parts import pod_parts
from meshwright.apiserver.resources import standard_catalogue
from meshwright.apiserver.server import ApiServer, TlsFiles
from meshwright.apiserver.service_accounts import ServiceAccountTokens
from meshwright.ca.authority import Authority, leads_to_a_root
from meshwright.ca.files import write
from meshwright.model.objects import MeshObjects
from meshwright.processes.state import DataDirectory
from meshwright.store.store import Store
from meshwright.wiring.console_pods import ConsolePods
from meshwright.wiring.validation import Counted, Door

LOG = logging.getLogger(__name__)
NAMES = ("localhost", "127.0.0.1", "kubernetes.default.svc")
ADDRESS = "127.0.0.1"
LIFETIME = timedelta(days=1)
KUBECONFIG = "kubeconfig"
RETRY = 5.0  # seconds
LONGEST_SLEEP = 60.0  # seconds; a clock that is set forward must not keep the certificate past its end


@dataclass(frozen=True, slots=True)
class ApiPlace:
    """Where the API is served, and with whose certificates; `known` are the objects that new ones may refer to,
    `counted` is told what is put before the rules.
    """

    data: DataDirectory
    port: int
    authority: Authority
    rung: Rung
    clock: Callable[[], datetime]
    known: Callable[[], MeshObjects | None] = lambda: None
    counted: Counted | None = None


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
        self._token = token
        accounts = ServiceAccountTokens(store, TokenKey.keep(place.data.root / "api" / "tokens.key"), place.clock)
        streams = Streams()
        machine = ConsolePods(place.data, place.rung, place.known)
        api = make_api(
            store,
            standard_catalogue(),
            one_of(only_token(token), accounts.authenticate),
            validate=Door(place.known, place.counted).field_errors,
            parts=(accounts.part, *pod_parts(store, machine, streams)),
            streams=streams,
        )
        accounts.definitions = api.schemas.definitions
        self._server = ApiServer(api, _listener(place.port), self._files)
        self._write_kubeconfig()

    async def run(self) -> None:
        """Serve until cancelled; the certificate is renewed at half its life."""
        await ensure_namespaces(self._store)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._server.run())
            tasks.create_task(self._renew())

    async def _renew(self) -> None:
        """A certificate below a root that is on its way out goes on until that root is dropped: clients that run
        already may know no other root. The kubeconfig knows them all.
        """
        roots = self._place.authority.roots
        while True:
            seen = roots.value
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(LONGEST_SLEEP, self._seconds_left())):
                    await roots.newer_than(seen)
            try:
                if roots.value != seen:
                    self._write_kubeconfig()
                if self._seconds_left() <= 0 or not leads_to_a_root(roots.value, self._chain):
                    self._issue()
                    self._server.reload_certificate()
            except OSError as error:
                LOG.error("the certificate of the object API is not renewed: %s", error)  # noqa: TRY400 - says enough
                await asyncio.sleep(RETRY)

    def _seconds_left(self) -> float:
        """Until half of the certificate's life is over."""
        from meshwright.ca.certificates import validity

        begin, end = validity(self._chain)
        return max(0.0, (begin + (end - begin) / 2 - self._place.clock()).total_seconds())

    def _issue(self) -> None:
        chain, key = self._place.authority.issue_server(NAMES, self._place.clock(), LIFETIME)
        write(self._files.certificate, chain)
        write(self._files.key, key)
        self._chain = chain

    def _write_kubeconfig(self) -> None:
        path, roots = self._place.data.root / KUBECONFIG, self._place.authority.roots_pem
        write_kubeconfig(path, self._server.address, self._token, roots)


def _listener(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((ADDRESS, port))
    return listener
