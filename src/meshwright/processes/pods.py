"""Pods as the holder keeps them: a network namespace with rules, a folder shared with the proxy, views for processes.

In the rung `loopback` a pod is only a name with a folder: there is nothing to isolate it with.
"""

import asyncio
import os
import signal
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meshwright.processes import interception, launcher, mounts, network, procfs, services, syscalls
from meshwright.processes.children import Child, Children
from meshwright.processes.identities import UidPlan
from meshwright.processes.messages import BadRequest, PodSpec, SpawnSpec
from meshwright.processes.sandbox import INSIDE, NETNS_FOLDER, POD_FILES
from meshwright.processes.state import MARKER, POD_MARKER, DataDirectory, remove_tree

_TOOLS_AT_ONCE = 4
_PRIVATE = (Path("/tmp"), Path("/dev/shm"))  # noqa: S108 - these are mounted over, not used


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod; `index` numbers its namespace, veth pair and uid, and is used again after it is gone."""

    spec: PodSpec
    index: int
    uid: int | None
    namespace: Path | None
    folder: Path

    @property
    def inside(self) -> Path:
        """Where the pod's proxy finds `folder`."""
        return self.folder if self.namespace is None else INSIDE

    @property
    def files(self) -> Path:
        """resolv.conf and hosts of the pod, inside the sandbox."""
        return POD_FILES / str(self.index)

    def describe(self) -> dict[str, Any]:
        """As the protocol shows it."""
        return {
            "pod": self.spec.pod,
            "ip": self.spec.ip,
            "index": self.index,
            "uid": self.uid,
            "folder": str(self.folder),
            "inside": str(self.inside),
        }


class Pods:
    """All pods of one sandbox. `subnet` is None in the rung `loopback`."""

    def __init__(self, data: DataDirectory, subnet: network.Subnet | None, plan: UidPlan, children: Children) -> None:
        self._data = data
        self._subnet = subnet
        self._plan = plan
        self._children = children
        self._pods: dict[str, Pod] = {}
        self._turn = asyncio.Lock()
        self._services_turn = asyncio.Lock()
        self._tools = asyncio.Semaphore(_TOOLS_AT_ONCE)
        self._own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def get(self, pod: str) -> Pod:
        """A pod by its id. BadRequest when there is none."""
        found = self._pods.get(pod)
        if found is None:
            raise BadRequest(f"there is no pod {pod}", "not-found")
        return found

    def all(self) -> list[Pod]:
        return list(self._pods.values())

    async def prepare(self) -> None:
        """The bridge of a new sandbox."""
        if self._subnet is not None:
            network.write_settings(network.SANDBOX_SETTINGS)
            await self._tool(("ip", "-batch", "-"), network.bridge_batch(self._subnet))
            network.write_settings(network.BRIDGE_SETTINGS)
            with suppress(BadRequest):  # it works without, only later
                await self._tool(("ip", "-batch", "-"), network.ANSWER_AT_ONCE)

    async def replace_services(self, table: services.Services) -> None:
        """Replace what pods without interception reach at the addresses of services. BadRequest when it fails."""
        if self._subnet is None:
            raise BadRequest("this rung has no addresses of services", "not-supported")
        async with self._services_turn:
            await self._tool(("nft", "-f", "-"), services.ruleset(table))

    async def add(self, specs: list[PodSpec]) -> list[Pod]:
        """Make pods, all or none; one that exists with the same specification is returned as it is."""
        async with self._turn:
            fresh = [pod for spec in specs if (pod := self._plan_pod(spec)) is not None]
            for pod in fresh:
                self._pods[pod.spec.pod] = pod
            try:
                await self._build(fresh)
            except BaseException:
                for pod in fresh:
                    await self._dismantle(pod)
                raise
            return [self._pods[spec.pod] for spec in specs]

    def _plan_pod(self, spec: PodSpec) -> Pod | None:
        known = self._pods.get(spec.pod)
        if known is not None:
            if known.spec != spec:
                raise BadRequest(f"pod {spec.pod} exists with another specification; remove it first", "exists")
            return None
        if self._subnet is not None and not self._subnet.holds(spec.ip):
            raise BadRequest(f"{spec.ip} is no address for a pod in {self._subnet.network}")
        if any(pod.spec.ip == spec.ip for pod in self._pods.values()):
            raise BadRequest(f"{spec.ip} belongs to another pod", "exists")
        taken = {pod.index for pod in self._pods.values()}
        index = next(number for number in range(len(taken) + 1) if number not in taken)
        isolated = self._subnet is not None
        namespace = NETNS_FOLDER / network.namespace_name(index) if isolated else None
        uid = self._plan.app(index) if isolated else None
        pod = Pod(spec, index, uid, namespace, self._data.pod(spec.pod))
        self._pods[spec.pod] = pod
        return pod

    async def _build(self, pods: list[Pod]) -> None:
        for pod in pods:
            self._make_folder(pod)
        if self._subnet is None or not pods:
            return
        await self._tool(("ip", "-batch", "-"), "".join(_attached(pod) for pod in pods))
        failures: list[BadRequest] = []
        async with asyncio.TaskGroup() as group:
            for pod in pods:
                group.create_task(self._furnish(pod, self._subnet, failures))
        if failures:
            raise failures[0]

    def _make_folder(self, pod: Pod) -> None:
        """The proxy owns it and our own group may use it too, whichever of the two makes a file there."""
        pod.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._subnet is not None and self._plan.proxy is not None:
            os.chown(pod.folder, self._plan.proxy, 0)
            pod.folder.chmod(0o2770)

    async def _furnish(self, pod: Pod, subnet: network.Subnet, failures: list[BadRequest]) -> None:
        spec = pod.spec
        nameserver = spec.nameserver or subnet.gateway
        try:
            pod.files.mkdir(mode=0o755, exist_ok=True)
            (pod.files / "resolv.conf").write_text(network.resolv_conf(nameserver, spec.search), encoding="ascii")
            lines = "".join(f"{line}\n" for line in spec.hosts)
            (pod.files / "hosts").write_text(network.hosts_file(spec.ip, spec.hostname) + lines, encoding="utf-8")
            with self.within(pod):
                network.write_settings(network.POD_SETTINGS)
            await self._tool(
                ("ip", "-batch", "-"), network.inside_batch(subnet, spec.ip, routed=spec.routed), pod.namespace
            )
            if spec.interception is not None:
                rules = interception.ruleset(spec.interception, self._plan.exclusion, nameserver)
                await self._tool(("nft", "-f", "-"), rules, pod.namespace)
        except BadRequest as error:
            failures.append(error)
        except OSError as error:
            failures.append(BadRequest(f"{spec.pod}: {error}", "network"))

    @contextmanager
    def within(self, pod: Pod | None) -> Generator[None]:
        """Be in a pod's network namespace for a moment. No `await` inside: the whole process is there."""
        if pod is None or pod.namespace is None:
            yield
            return
        launcher.enter_network(pod.namespace)
        try:
            yield
        finally:
            syscalls.setns(self._own, syscalls.CLONE_NEWNET)

    async def _tool(self, argv: tuple[str, ...], text: str, namespace: Path | None = None) -> None:
        """Run `ip` or `nft` with `text` as input. BadRequest with its words when it fails."""
        async with self._tools:
            given, said = os.memfd_create("input"), os.memfd_create("output")
            try:
                os.write(given, text.encode())
                os.lseek(given, 0, os.SEEK_SET)
                spec = launcher.Launch(
                    argv=argv,
                    env={"PATH": launcher.DEFAULT_PATH},
                    streams=(given, said, said),
                    namespace=namespace,
                    confined=False,
                )
                ended = await self._children.run(spec)
                if ended.code != 0:
                    words = os.pread(said, 2000, 0).decode(errors="replace").strip()
                    raise BadRequest(f"{argv[0]} failed: {words}", "network")
            finally:
                os.close(given)
                os.close(said)

    async def remove(self, pod: Pod) -> None:
        """End everything that is left of a pod: processes, namespace, rules, folder."""
        async with self._turn:
            await self._dismantle(pod)

    def abandon(self) -> None:
        """The sandbox is about to end, which removes all but the folders."""
        for pod in self._pods.values():
            remove_tree(pod.folder)
            remove_tree(self._data.volumes(pod.spec.pod))

    async def _dismantle(self, pod: Pod) -> None:
        await self._children.stop([child for child in self._children.all(pod.spec.pod) if child.exit is None], 0.0)
        for child in self._children.all(pod.spec.pod):
            self._children.forget(child.pod, child.name)
        if pod.namespace is not None:
            await self._end_strays(pod.namespace)
            with suppress(BadRequest):
                await self._tool(("ip", "-force", "-batch", "-"), network.detach_batch(pod.index))
            remove_tree(pod.files)
        remove_tree(pod.folder)
        remove_tree(self._data.volumes(pod.spec.pod))
        self._pods.pop(pod.spec.pod, None)

    async def _end_strays(self, namespace: Path) -> None:
        """What left its session but not its network namespace."""
        try:
            inode = namespace.stat().st_ino
        except OSError:
            return
        for _ in range(50):
            strays = procfs.in_network_namespace(inode)
            if not strays:
                return
            for pid in strays:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.02)

    def uid_for(self, spec: SpawnSpec) -> int | None:
        """The uid of a program in its pod; None when it is our own (one uid for all, or no namespaces)."""
        pod = self.get(spec.pod)
        if pod.namespace is None:
            return None
        return self._plan.proxy if spec.role == "proxy" else pod.uid

    def launch_for(
        self, spec: SpawnSpec, streams: tuple[int | None, int | None, int | None], host: Child | None = None
    ) -> launcher.Launch:
        """How to start a program in its pod; `host` is the process whose view of the file system it shares."""
        pod = self.get(spec.pod)
        env = {"PATH": launcher.DEFAULT_PATH, **spec.env, MARKER: self._data.mesh_id(), POD_MARKER: spec.pod}
        proxy = spec.role == "proxy"
        if pod.namespace is None:
            return launcher.Launch(spec.argv, env, spec.cwd, streams, terminal=spec.terminal)
        uid = self.uid_for(spec)
        # With one uid for all, Envoy needs this one right: to mark its packets as its own.
        marks = proxy and self._plan.exclusion == "mark"
        return launcher.Launch(
            argv=spec.argv,
            env=env,
            cwd=spec.cwd,
            streams=streams,
            namespace=pod.namespace,
            hostname=pod.spec.hostname,
            view=self._view(pod, spec, uid) if host is None else None,
            joined=Path(f"/proc/{host.pid}/ns") if host is not None else None,
            uid=uid,
            capabilities=frozenset({syscalls.CAP_NET_ADMIN}) if marks else frozenset(),
            hide_processes=True,
            terminal=spec.terminal,
            umask=0o007 if proxy else 0o022,
        )

    def _view(self, pod: Pod, spec: SpawnSpec, uid: int | None) -> mounts.View:
        binds = [mounts.Bind(Path(item.source), Path(item.target), item.read_only) for item in spec.mounts]
        for name in ("resolv.conf", "hosts"):
            target = Path(os.path.realpath(f"/etc/{name}"))
            if target.exists() or target.is_relative_to("/run"):
                binds.append(mounts.Bind(pod.files / name, target, read_only=True))
        if spec.role == "proxy":
            binds.append(mounts.Bind(pod.folder, INSIDE))
        exposed = [*launcher.our_programs(), *map(Path, spec.expose)]
        if spec.cwd != "/" and not any(Path(spec.cwd).is_relative_to(item.target) for item in spec.mounts):
            exposed.append(Path(spec.cwd))
        return mounts.view_for(
            os.geteuid() if uid is None else uid,
            exposed,
            binds,
            private=_PRIVATE,
            hidden=(Path(os.path.realpath(self._data.root)),),
        )


def _attached(pod: Pod) -> str:
    return network.attach_batch(pod.index, pod.spec.ip if pod.spec.routed else "")
