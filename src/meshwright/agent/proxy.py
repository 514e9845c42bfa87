"""The Envoy of one pod: its folder, its identity, its process; started again at once when it dies."""

import asyncio
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace

from meshwright.agent import pod_files
from meshwright.agent.admin import Admin
from meshwright.agent.holder_link import Session
from meshwright.agent.machine import PROXY_CONTAINER, Machine
from meshwright.agent.paths import PodPaths
from meshwright.agent.proxy_access import is_in_namespace, namespace_of_socket
from meshwright.agent.settings import Rung
from meshwright.model.planned_pod import ContainerStatus, PlannedPod
from meshwright.model.proxy import Role
from meshwright.processes import procfs
from meshwright.processes.holder_client import ProcessInfo, RemoteError, SpawnSpec
from meshwright.xds.peer import Peer

_FIRST_LOOK_SECONDS = 0.02
_LONGEST_LOOK_SECONDS = 0.2
_SHORT_LIFE_SECONDS = 5.0
_FIRST_WAIT_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 5.0
_END_SECONDS = 3.0
_LIFE_LOOK_SECONDS = 1.0  # between two looks whether a ready Envoy still lives; one that is connected does
_LOOK_SECONDS = 0.05
_QUIET_LOOKS = 4  # in a row: what was sent before everybody knew may still be on its way


class ProxyRunner:
    """`status` is shown as container `istio-proxy`; ready = Envoy is live and has acknowledged everything once."""

    def __init__(self, machine: Machine, pod: PlannedPod, changed: Callable[[], None], *, was_ready: bool) -> None:
        self._machine = machine
        self._pod = pod
        self._changed = changed
        self._namespace: int | None = None
        self._served = False
        self._peer: procfs.ProcessId | None = None  # who connected last: our Envoy
        self._paths: PodPaths = machine.paths(pod.name)
        self._admin = Admin(self._paths.here.admin_socket)
        self.ready = asyncio.Event()
        self.status = ContainerStatus(PROXY_CONTAINER, ready=was_ready, restarts=0, reason="ContainerCreating")

    def update(self, pod: PlannedPod) -> None:
        """The pod's plan has changed in a way that needs no restart."""
        self._pod = pod

    @property
    def stopped(self) -> bool:
        """Whether the process that connected for it does nothing until it is let go on (SIGSTOP)."""
        return self._peer is not None and procfs.is_stopped(self._peer)

    def lost(self) -> None:
        """The holder has gone, and Envoy with it."""
        self.ready.clear()
        self._set(ready=False, reason="ContainerCreating", pid=None)

    async def run(self, session: Session) -> None:
        """Keep an Envoy running for as long as the session lives. The pod's namespace and folder are there."""
        await self._prepare(session)
        wait = 0.0
        found = session.process(self._pod.name, PROXY_CONTAINER)
        process = found if found is not None and found.exit is None else None
        loop = asyncio.get_running_loop()
        # An Envoy that a former agent left behind serves; it is not killed because it is slow to find us again.
        patience = None if process is not None else self._machine.settings.ready_timeout / 1000
        while True:
            started = loop.time()
            try:
                process = process or await self._start(session)
                in_time = await self._live(session, process, patience)
                why = await self._epitaph(session, process) if in_time else self.status.message
            except RemoteError as error:
                why = f"Envoy could not be started: {error}"
            process, patience = None, self._machine.settings.ready_timeout / 1000
            self.ready.clear()
            self._set(ready=False, restarts=self.status.restarts + 1, reason="Restarting", message=why, pid=None)
            short = loop.time() - started < _SHORT_LIFE_SECONDS
            wait = min(max(2 * wait, _FIRST_WAIT_SECONDS), _LONGEST_WAIT_SECONDS) if short else 0.0
            await asyncio.sleep(wait)

    def _set(self, **values: object) -> None:
        status = replace(self.status, **values)  # pyright: ignore[reportArgumentType] - names are checked by replace
        if status != self.status:
            self.status = status
            self._changed()

    async def _prepare(self, session: Session) -> None:
        """Everything that Envoy finds when it starts."""
        with await session.client.socket(self._pod.name) as endpoint:
            self._namespace = namespace_of_socket(endpoint)
        await self._machine.ports.prepare_identity(self._pod)
        here = self._paths.here
        bootstrap = self._machine.ports.bootstrap(self._pod, self._paths)
        pod_files.place(here.bootstrap, json.dumps(bootstrap).encode())
        if self._pod.role is Role.ROUTER:
            pod_files.open_folder(here.ingress)
        if not (self._served and here.xds_socket.exists()):
            await self._machine.ports.proxies.remove(self._pod.name)
            await self._machine.ports.proxies.add(
                self._pod.name, here.xds_socket, mode=0o666, authorize=self._may_connect
            )
            self._served = True

    def _may_connect(self, peer: Peer) -> bool:
        allowed = (
            peer.uid == os.geteuid()
            if self._machine.settings.rung is Rung.LOOPBACK
            else self._namespace is not None and is_in_namespace(peer, self._namespace)
        )
        if allowed:
            self._peer = procfs.identify(peer.pid)
        return allowed

    async def _start(self, session: Session) -> ProcessInfo:
        settings = self._machine.settings
        inside, here = self._paths.inside, self._paths.here
        here.admin_socket.unlink(missing_ok=True)
        if self._pod.role is Role.ROUTER:
            for left in here.ingress.glob("*.sock"):
                left.unlink(missing_ok=True)
        argv = (
            str(settings.envoy_path),
            *("-c", str(inside.bootstrap)),
            *("--concurrency", "1"),
            "--disable-hot-restart",
            *("--drain-time-s", str(max(1, settings.keep_time // 1000))),
            *("--drain-strategy", "immediate"),
            *("--local-address-ip-version", "v4"),
            *("--file-flush-interval-msec", "1000"),
            *("-l", settings.proxy_log_level),
        )
        return await session.spawn(
            SpawnSpec(
                pod=self._pod.name,
                name=PROXY_CONTAINER,
                argv=argv,
                role="proxy",
                cwd=str(self._paths.working_dir),
                output=str(self._machine.log_file(self._pod, PROXY_CONTAINER)),
                env=self._environment(),
                expose=(str(settings.envoy_path),),
            )
        )

    def _environment(self) -> dict[str, str]:
        """What Envoy may put into logs and tags of its own accord."""
        return {
            "POD_NAME": self._pod.meta.name,
            "POD_NAMESPACE": self._pod.meta.namespace,
            "INSTANCE_IP": self._pod.address,
            "SERVICE_ACCOUNT": self._pod.identity.service_account,
            "ISTIO_META_OWNER": self._pod.owner,
        }

    async def _live(self, session: Session, process: ProcessInfo, patience: float | None) -> bool:
        """Until it is ready or has ended; one that is neither after `patience` seconds is killed: False."""
        self._set(reason="ContainerCreating", pid=process.pid)
        try:
            async with asyncio.timeout(patience), asyncio.TaskGroup() as tasks:
                looking = tasks.create_task(self._until_ready())
                watching = tasks.create_task(session.exit_of(process))
                await asyncio.wait((looking, watching), return_when=asyncio.FIRST_COMPLETED)
                is_ready = looking.done() and not watching.done()
                looking.cancel()
                watching.cancel()
        except TimeoutError:
            self._set(message=f"{self.status.message}; not ready in time, so Envoy is started anew")
            await session.terminate(process, signal.SIGKILL)
            await session.exit_of(process)
            return False
        if is_ready:
            self._set(ready=True, reason="Running", message="")
            self.ready.set()
        return True

    async def _until_ready(self) -> None:
        pause = _FIRST_LOOK_SECONDS
        while missing := await self._missing():
            if pause == _LONGEST_LOOK_SECONDS:
                self._set(message=missing)
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_LOOK_SECONDS)

    async def _missing(self) -> str:
        """What an Envoy that is not ready waits for; empty when it is ready."""
        progress = self._machine.ports.proxies.status_of(self._pod.name)
        if not progress.connected:
            return "Envoy has not asked for its configuration yet"
        if not progress.synced:
            return "Envoy has not acknowledged all of its configuration yet"
        return "" if await self._admin.ready() else "Envoy is not live yet"

    async def _stay_ready(self) -> None:
        """An Envoy that is stopped or stuck leaves the endpoints until it answers again. Its connection to us proves
        that it lives (the heartbeat closes it otherwise), so only one without is asked.
        """
        while True:
            await asyncio.sleep(_LIFE_LOOK_SECONDS)
            progress = self._machine.ports.proxies.status_of(self._pod.name, in_full=False)
            if not progress.connected or not self.status.ready:
                lives = await self._admin.get("/ready") is not None
                self._set(ready=lives, message="" if lives else "Envoy shows no life")

    async def _epitaph(self, session: Session, process: ProcessInfo) -> str:
        async with asyncio.TaskGroup() as tasks:
            looking = tasks.create_task(self._stay_ready())
            ended = await session.exit_of(process)
            looking.cancel()
        return f"Envoy ended with {f'signal {ended.signal}' if ended.signal else f'exit code {ended.code}'}"

    async def drain(self, idle: float, longest: float) -> None:
        """Ask clients to leave and wait until they have: no request is being served (`longest` seconds at most), and
        no connection is open (`idle` seconds), as that may bring a request at the moment it would be closed.
        """
        if not self.ready.is_set():
            return
        inbound_only = self._pod.role is Role.SIDECAR
        await self._admin.drain(inbound_only=inbound_only)
        loop = asyncio.get_running_loop()
        began, quiet = loop.time(), 0
        while (now := loop.time() - began) < longest and quiet < _QUIET_LOOKS:
            held = now < idle and await self._admin.open_connections()
            busy = held or await self._admin.in_flight(inbound_only=inbound_only)
            quiet = 0 if busy else quiet + 1
            await asyncio.sleep(_LOOK_SECONDS)

    async def end(self, session: Session) -> None:
        """End the Envoy; nothing uses it any more."""
        process = session.process(self._pod.name, PROXY_CONTAINER)
        if process is None or process.exit is not None:
            return
        await session.terminate(process, signal.SIGTERM)
        if not await session.ended_within(process, _END_SECONDS):
            await session.terminate(process, signal.SIGKILL)
            await session.exit_of(process)

    async def finish(self, session: Session) -> None:
        """End the Envoy of a pod whose applications are done; it is not started again."""
        self.ready.clear()
        self._set(ready=False, reason="Completed", message="", exit_code=0)
        await self.end(session)
        self._set(pid=None)

    async def forget(self) -> None:
        """Close the xDS socket."""
        await self._machine.ports.proxies.remove(self._pod.name)
        self._served = False
