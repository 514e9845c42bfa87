"""The HTTPS server of the object API, inside the event loop of the process that has it."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from socket import (
    IPPROTO_TCP,
    SO_KEEPALIVE,
    SOL_SOCKET,
    TCP_KEEPCNT,
    TCP_KEEPIDLE,
    TCP_KEEPINTVL,
    socket,
)

import uvicorn

from meshwright.apiserver.api import Api
from meshwright.apiserver.application import application
from meshwright.apiserver.spdy_upgrade import Http
from meshwright.apiserver.web_sockets import WebSockets
from meshwright.asynctools.quiet_server import QuietServer

SHUTDOWN_SECONDS = 3
KEEP_ALIVE_SECONDS = 75
BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: the certificate with what leads to the root behind it, and its key."""

    certificate: Path
    key: Path


class ApiServer:
    """Serves one API on a socket that is bound already. For one event loop."""

    def __init__(self, api: Api, listener: socket, tls: TlsFiles | None) -> None:
        """Without `tls` it speaks plain HTTP (tests, or behind something that ends TLS). Raises OSError, SSLError."""
        self._api = api
        self._listener = listener
        self._tls = tls
        self._context = _context(tls) if tls is not None else None
        _find_dead_peers(listener)
        listener.listen(BACKLOG)  # clients may come at once: they wait until `run`
        config = uvicorn.Config(
            application(api),
            loop="none",
            http=Http,
            ws=WebSockets,
            ws_ping_interval=None,  # a client that reads slowly answers late; the kernel finds those that are gone
            log_level="warning",  # the lines of level info have the commands of `exec` in them
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
            ssl_context_factory=(lambda _config, _default: self._secure()) if tls is not None else None,
        )
        self._server = QuietServer(config)

    def _secure(self) -> ssl.SSLContext:
        assert self._context is not None, "asked for only with TLS"
        return self._context

    @property
    def address(self) -> str:
        """Where it is, as a URL."""
        host, port = self._listener.getsockname()[:2]
        scheme = "https" if self._context is not None else "http"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    async def run(self) -> None:
        """Serves until `close`, or until this is cancelled; open watches end then."""
        try:
            await self._server.serve(sockets=[self._listener])
        finally:
            self._api.streams.stop()

    def close(self) -> None:
        """Makes `run` return: no new connections, answers under way are finished."""
        self._api.streams.stop()
        self._server.should_exit = True

    def reload_certificate(self) -> None:
        """New connections get what stands in the files now. Raises OSError, SSLError; the old one stays then."""
        if self._context is not None and self._tls is not None:
            _context(self._tls)
            self._context.load_cert_chain(self._tls.certificate, self._tls.key)


def _find_dead_peers(listener: socket) -> None:
    """Connections inherit this: one whose other end is silently gone is ended after about a minute."""
    listener.setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1)
    for option, value in ((TCP_KEEPIDLE, 30), (TCP_KEEPINTVL, 10), (TCP_KEEPCNT, 3)):
        listener.setsockopt(IPPROTO_TCP, option, value)


def _context(tls: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(tls.certificate, tls.key)
    return context
