"""Startup, readiness and liveness probes of one container, with Kubernetes' meaning.

`ProbeCount` is the decision (thresholds); `Prober` asks. HTTP and TCP probes come from inside the pod's network
namespace, so the application sees them as local and Envoy does not; exec probes run as the application.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from urllib.parse import urljoin, urlsplit

from meshwright.agent.http_client import HttpAnswer, HttpError, HttpRequest, exchange
from meshwright.model.pod import Container, Probe, ProbeType

_MOST_REDIRECTS = 10
_USER_AGENT = "kube-probe/meshwright"
_SUCCESS = range(200, 400)
ANY_STATUS = range(100, 1000)
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class ProbeCount:
    """`passing` is what the probe says now; `streak` results in a row differ from it."""

    passing: bool
    streak: int = 0

    def after(self, *, success: bool, probe: Probe) -> "ProbeCount":
        """The state after one more result."""
        if success == self.passing:
            return replace(self, streak=0)
        threshold = probe.success_threshold if success else probe.failure_threshold
        streak = self.streak + 1
        return ProbeCount(success, 0) if streak >= max(threshold, 1) else ProbeCount(self.passing, streak)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One answer to a probe; `message` says what was wrong."""

    success: bool
    message: str = ""


def probe_port(probe: Probe, container: Container) -> int | None:
    """The number of the probe's port; None when no port of the container has that name."""
    if isinstance(probe.port, int):
        return probe.port
    return next((int(port.number) for port in container.ports if port.name == probe.port), None)


def tcp_probe(port: int) -> Probe:
    """Whether something listens on a port."""
    return Probe(ProbeType.TCP, port)


@dataclass(frozen=True, slots=True)
class Prober:
    """`open_socket` makes a TCP socket inside the pod; `run` runs a command in it: exit code and output."""

    address: str
    open_socket: Callable[[], Awaitable[socket.socket]]
    run: Callable[[tuple[str, ...]], Awaitable[tuple[int, str]]]

    async def ask(self, probe: Probe, container: Container) -> Verdict:
        """Carry out one probe within its time-out."""
        try:
            async with asyncio.timeout(max(probe.timeout, 1) / 1000):
                return await self.act(probe, container)
        except TimeoutError:
            return Verdict(success=False, message=f"no answer within {probe.timeout / 1000:g} s")

    async def act(self, probe: Probe, container: Container, good: range = _SUCCESS) -> Verdict:
        """The same for as long as it takes; `good` are the HTTP statuses that count as success."""
        try:
            return await self._act(probe, container, good)
        except ssl.SSLError as error:
            return Verdict(success=False, message=f"TLS: {error.reason or error}")
        except OSError as error:
            return Verdict(success=False, message=os.strerror(error.errno) if error.errno else str(error))
        except HttpError as error:
            return Verdict(success=False, message=str(error))

    async def _act(self, probe: Probe, container: Container, good: range) -> Verdict:
        if probe.type is ProbeType.EXEC:
            code, output = await self.run(probe.command)
            return Verdict(code == 0, "" if code == 0 else f"exit code {code}: {output[:200]}")
        port = probe_port(probe, container)
        if port is None:
            return Verdict(success=False, message=f"the container has no port named {probe.port!r}")
        if probe.type is ProbeType.TCP:
            (await self._connect(port)).close()
            return Verdict(success=True)
        return await self._http(probe, port, good)

    async def _connect(self, port: int) -> socket.socket:
        connection = await self.open_socket()
        try:
            await asyncio.get_running_loop().sock_connect(connection, (self.address, port))
        except BaseException:
            connection.close()
            raise
        return connection

    async def _http(self, probe: Probe, port: int, good: range) -> Verdict:
        scheme = probe.scheme.lower()
        path = probe.path if probe.path.startswith("/") else f"/{probe.path}"
        url = f"{scheme}://{self.address}:{port}{path}"
        for _ in range(_MOST_REDIRECTS):
            answer = await self._get(url, probe)
            location = answer.header("location")
            if answer.status not in _REDIRECTS or not location:
                return Verdict(answer.status in good, f"HTTP status {answer.status}")
            target = urljoin(url, location)
            if urlsplit(target).hostname != self.address:
                # Where another host leads is not this container's health.
                return Verdict(success=True, message=f"redirected to {target}")
            url = target
        return Verdict(success=False, message=f"more than {_MOST_REDIRECTS} redirects")

    async def _get(self, url: str, probe: Probe) -> HttpAnswer:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        headers = {"Host": parts.netloc, "User-Agent": _USER_AGENT, "Accept": "*/*"}
        named = {name.title(): value for name, value in probe.headers}
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection = await self._connect(parts.port or (443 if secure else 80))
        request = HttpRequest(target, tuple((headers | named).items()))
        return await exchange(connection, request, _unverified() if secure else None, with_body=False)


def _unverified() -> ssl.SSLContext:
    """Probes ask whether something answers, not who: certificates are not checked, as in Kubernetes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
