"""Names, services and the host's forwarded ports are brought to the holder, again after each loss of it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from meshwright.agent.holder_link import HolderLink, Session
from meshwright.agent.paths import PodPaths
from meshwright.agent.settings import AgentSettings, Rung
from meshwright.asynctools.latest import Latest
from meshwright.model.names import ProxyName
from meshwright.model.planned_pod import DesiredState, HostForward
from meshwright.processes.holder_client import Disconnected, RemoteError

_AGAIN_SECONDS = 2.0


class Tables:
    """`problems` says what could not be brought about: port or table -> why."""

    def __init__(
        self,
        settings: AgentSettings,
        link: HolderLink,
        desired: Latest[DesiredState],
        brought: Callable[[], None] = lambda: None,
    ) -> None:
        """`brought` is called whenever the wish has been brought about."""
        self._settings = settings
        self._link = link
        self._desired = desired
        self._brought = brought
        self._forwarded: dict[str, Path] = {}
        self._named: tuple[Session, object] | None = None
        self._served: tuple[Session, object] | None = None
        self.problems: dict[str, str] = {}

    async def run(self) -> None:
        """For ever: whenever the wish or the holder is another one, or something is still missing."""
        while True:
            session, desired = await self._link.session(), self._desired.value
            try:
                await self._bring(session, desired)
                self._brought()
            except Disconnected:
                # The forwarder is a process of its own: what it forwards it goes on forwarding.
                continue
            await self._news(session, desired)

    def misleads_to(self, pod: ProxyName) -> bool:
        """Whether the host's connections still lead to a pod though they are to lead to another one."""
        leads = [self._target(forward) for forward in self._desired.value.forwards]
        if not leads:
            return False
        folder = PodPaths.of(self._settings.data_dir, self._settings.rung, pod).here.ingress
        old = {target for target in self._forwarded.values() if target.parent == folder}
        return bool(old) and not old & set(leads)

    async def _news(self, session: Session, desired: DesiredState) -> None:
        """Return when there is something to do again."""
        try:
            async with asyncio.timeout(_AGAIN_SECONDS if self.problems else None), asyncio.TaskGroup() as tasks:
                waits = [
                    tasks.create_task(self._link.current.newer_than(session)),
                    tasks.create_task(self._desired.newer_than(desired)),
                ]
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for task in waits:
                    task.cancel()
        except TimeoutError:
            return

    async def _bring(self, session: Session, desired: DesiredState) -> None:
        self.problems = {}
        if self._settings.rung is not Rung.LOOPBACK:
            await self._bring_names(session, desired)
            await self._bring_services(session, desired)
        wanted = {f"127.0.0.1:{forward.host_port}": self._target(forward) for forward in desired.forwards}
        for listen in self._forwarded.keys() - wanted.keys():
            await self._unforward(session, listen)
        for listen, target in wanted.items():
            try:
                # Gateways learn who called: to their Envoy all of the host's connections come from one socket.
                await session.client.forward(listen, target, announce=True)
                self._forwarded[listen] = target
            except RemoteError as error:
                self.problems[listen] = str(error)

    async def _bring_names(self, session: Session, desired: DesiredState) -> None:
        if self._named == (session, desired.names):
            return
        try:
            await session.client.replace_dns(dict(desired.names), (self._settings.cluster_domain,))
            self._named = session, desired.names
        except RemoteError as error:
            self.problems["dns"] = str(error)

    async def _bring_services(self, session: Session, desired: DesiredState) -> None:
        if self._served == (session, desired.services):
            return
        try:
            await session.client.replace_services(dict(desired.services))
            self._served = session, desired.services
        except RemoteError as error:
            self.problems["services"] = str(error)

    def _target(self, forward: HostForward) -> Path:
        return PodPaths.of(self._settings.data_dir, self._settings.rung, forward.pod).here.ingress_socket(
            forward.listener_port
        )

    async def _unforward(self, session: Session, listen: str) -> None:
        del self._forwarded[listen]
        try:
            await session.client.unforward(listen)
        except RemoteError as error:
            self.problems[listen] = str(error)

    async def clear(self) -> None:
        """Forward nothing any more: the mesh ends."""
        session = self._link.current.value
        try:
            for listen in list(self._forwarded) if session is not None else ():
                assert session is not None
                await self._unforward(session, listen)
        except Disconnected:
            return
