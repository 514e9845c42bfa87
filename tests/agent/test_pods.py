"""Pods on real Envoys: start order, environment, probes, restarts, images, and the way out."""

import asyncio
import contextlib
import os
import signal
import stat
from dataclasses import replace

import pytest
import uvloop

from meshwright.agent.control_client import ask, log_files, pods, proxies
from meshwright.agent.paths import PodPaths
from meshwright.agent.settings import Rung
from meshwright.model.image import ImageEntry
from meshwright.model.names import Milliseconds, PortNumber, ProxyName
from meshwright.model.planned_pod import HostForward, PodPhase
from meshwright.model.pod import EnvironmentVariable, Probe, ProbeType
from meshwright.model.proxy import Role
from meshwright.processes import unixsockets
from meshwright.processes.client import RemoteError
from meshwright.processes.state import DataDirectory
from tests.agent.mesh import Mesh, mesh, pod, web
from tests.agent.programs import SOURCE

FAST = Milliseconds(50)


def probe(path: str, **more: object) -> Probe:
    fields = {"port": "http", "path": path, "period": FAST, "failure_threshold": 2, **more}
    return Probe(ProbeType.HTTP, **fields)  # type: ignore[arg-type]


def test_a_request_goes_through_both_envoys_and_everything_ends() -> None:
    async def scenario() -> None:
        async with mesh() as m:
            m.wired.want(pod("a", 2), pod("b", 3))
            await m.wired.ready("a", "b")
            answer = await m.get("a", "10.244.0.3")
            assert (answer.status, answer.header("server")) == (200, "envoy")
            assert m.wired.notes.count("identity a") == 1
            await m.wired.agent.stop()
            inventory = await m.holder.inventory()
            assert (inventory.pods, inventory.processes) == ((), ())
            assert list(DataDirectory(m.holder.data).pods.iterdir()) == []
            assert list((DataDirectory(m.holder.data).run / "pods").iterdir()) == []
            assert not (DataDirectory(m.holder.data).run / "agent.sock").exists()

    uvloop.run(scenario())


def test_the_application_starts_only_when_envoy_is_ready() -> None:
    async def scenario() -> None:
        async with mesh() as m:
            # Without anything published Envoy stays without configuration, and so never becomes ready.
            m.wired.want(pod("a", 2))
            m.wired.published.set(replace(m.wired.published.value, proxies={}, classes={}, secrets={}))
            await m.wired.until(lambda: (s := m.wired.status("a")) is not None and s.containers[-1].pid is not None)
            await asyncio.sleep(0.5)
            names = {process.name for process in (await m.holder.inventory()).processes}
            assert names == {"istio-proxy"}
            status = m.wired.status("a")
            assert status is not None
            assert (status.phase, status.ready, status.proxy_ready) == (PodPhase.PENDING, False, False)
            assert status.containers[-1].message == "Envoy has not acknowledged all of its configuration yet"
            m.wired.want(pod("a", 2))
            await m.wired.ready("a")
            processes = {process.name: process for process in (await m.holder.inventory()).processes}
            assert processes["istio-proxy"].start_time <= processes["app"].start_time

    uvloop.run(scenario())


def test_an_envoy_that_does_not_become_ready_is_started_anew_and_status_says_what_it_waited_for() -> None:
    async def scenario() -> None:
        async with mesh(ready_timeout=Milliseconds(700)) as m:
            m.wired.want(pod("a", 2))
            m.wired.published.set(replace(m.wired.published.value, proxies={}, classes={}, secrets={}))
            await m.wired.until(lambda: (s := m.wired.status("a")) is not None and s.containers[-1].restarts > 0)
            status = m.wired.status("a")
            assert status is not None
            assert "not acknowledged all of its configuration yet; not ready in time" in status.containers[-1].message
            m.wired.want(pod("a", 2))
            await m.wired.ready("a")

    uvloop.run(scenario())


def test_environment_command_and_arguments() -> None:
    variables = (
        EnvironmentVariable("PORT", "9080"),
        EnvironmentVariable("SHADOWED", "container"),
        EnvironmentVariable("NAME", field_path="metadata.name"),
        EnvironmentVariable("IP", field_path="status.podIP"),
        EnvironmentVariable("NODE", field_path="spec.nodeName"),
        EnvironmentVariable("ACCOUNT", field_path="spec.serviceAccountName"),
        EnvironmentVariable("VERSION", field_path="metadata.labels['version']"),
        EnvironmentVariable("NOTE", field_path="metadata.annotations['example.com/note']"),
        EnvironmentVariable("SETTING", config_map="c", key="k"),
        EnvironmentVariable("TOKEN", secret="s", key="token"),
        EnvironmentVariable("JOINED", "$(NAME)/$(VERSION)/$(UNKNOWN)/$$(NAME)"),
    )
    container = web(args=("one", "$(NAME)", "$$(NAME)"), env=variables, working_dir="/usr")

    async def scenario() -> None:
        async with mesh() as m:
            m.wired.config_maps["demo", "c"] = {"k": "v"}
            labels, annotations = {"version": "v1"}, {"example.com/note": "hello"}
            m.wired.want(pod("a", 2, container, labels=labels, annotations=annotations))
            await m.wired.ready("a")
            env = await m.ask("a", "/env")
            got = {
                name: env[name] for name in ("NAME", "IP", "NODE", "ACCOUNT", "VERSION", "NOTE", "SETTING", "TOKEN")
            }
            assert got == {
                "NAME": "a", "IP": "10.244.0.2", "NODE": "meshwright", "ACCOUNT": "default", "VERSION": "v1",
                "NOTE": "hello", "SETTING": "v", "TOKEN": "hidden",
            }  # fmt: skip
            assert (env["FROM_IMAGE"], env["SHADOWED"], env["HOSTNAME"]) == ("yes", "container", "a")
            assert env["JOINED"] == "a/v1/$(UNKNOWN)/$(NAME)"
            who = await m.ask("a", "/who")
            assert who["argv"] == ["one", "a", "$(NAME)"]
            assert who["cwd"] == "/usr"

    uvloop.run(scenario())


def test_missing_references_and_images_keep_a_container_waiting_and_say_what_to_do() -> None:
    no_image = replace(web("other"), image="example.com/unknown:7", ports=())
    no_map = web(env=(EnvironmentVariable("X", config_map="c", key="k"),))

    async def scenario() -> None:
        async with mesh() as m:
            m.wired.want(pod("a", 2, no_map), pod("b", 3, no_image))
            await m.wired.until(lambda: all(reason(m, name) for name in ("a", "b")))
            assert reason(m, "a") == ("CreateContainerConfigError", "configmap demo/c not found")
            why, message = reason(m, "b") or ("", "")
            assert why == "NoImageEntry"
            assert '- pattern: "example.com/unknown"' in message
            m.wired.config_maps["demo", "c"] = {"k": "v"}
            command = ("{python}", "-I", "-c", SOURCE)
            m.wired.catalogue.append(ImageEntry("unknown", command))
            await m.wired.ready("a", "b")

    def reason(m: Mesh, name: str) -> tuple[str, str] | None:
        status = m.wired.status(name)
        if status is None or status.containers[0].reason in {"ContainerCreating", "Running"}:
            return None
        assert not status.ready
        return status.containers[0].reason, status.containers[0].message

    uvloop.run(scenario())


def test_a_failing_readiness_probe_takes_the_pod_out_and_a_passing_one_back_in() -> None:
    async def scenario() -> None:
        async with mesh() as m:
            m.wired.want(pod("a", 2, web(readiness=probe("/ready"))))
            await m.wired.ready("a")
            await m.get("a", "10.244.0.2", "/set?ready=0")
            await m.wired.until(lambda: (s := m.wired.status("a")) is not None and not s.ready)
            status = m.wired.status("a")
            assert status is not None
            assert status.containers[0].message == "readiness probe failed: HTTP status 503"
            assert status.containers[0].restarts == 0
            await m.get("a", "10.244.0.2", "/set?ready=1")
            await m.wired.ready("a")

    uvloop.run(scenario())


@pytest.mark.parametrize(
    "readiness",
    [
        Probe(ProbeType.TCP, 9080, period=FAST),
        Probe(ProbeType.EXEC, command=("sh", "-c", 'test -n "$FROM_IMAGE"'), period=FAST),
        probe("/moved?/ready"),
        probe("/moved?http://elsewhere.test/"),
        probe("/headers", headers=(("x-probe", "yes"), ("Host", "probe.test"))),
    ],
    ids=["tcp", "exec", "redirect", "redirect-away", "headers"],
)
def test_kinds_of_probes(readiness: Probe) -> None:
    async def scenario() -> None:
        async with mesh() as m:
            m.wired.want(pod("a", 2, web(readiness=readiness), role=None))
            await m.wired.ready("a")

    uvloop.run(scenario())


@pytest.mark.parametrize(
    ("readiness", "message"),
    [
        (Probe(ProbeType.TCP, 9, period=FAST), "Connection refused"),
        (Probe(ProbeType.EXEC, command=("sh", "-c", "echo why; exit 4"), period=FAST), "exit code 4: why"),
        (Probe(ProbeType.HTTP, "nowhere", period=FAST), "no port named 'nowhere'"),
        (probe("/slow?30", timeout=Milliseconds(100)), "no answer within 0.1 s"),
    ],
    ids=["tcp", "exec", "port", "timeout"],
)
def test_failing_probes_say_why(readiness: Probe, message: str) -> None:
    async def scenario() -> None:
        async with mesh() as m:
            m.wired.want(pod("a", 2, web(readiness=readiness), role=None))
            await m.wired.until(
                lambda: (s := m.wired.status("a")) is not None and message in s.containers[0].message and not s.ready
            )

    uvloop.run(scenario())


def test_liveness_and_startup_probes_restart_the_container() -> None:
    async def scenario() -> None:
        async with mesh() as m:
            never = probe("/nothing", port=9)
            m.wired.want(
                pod("a", 2, web(startup=probe("/alive", failure_threshold=400), liveness=probe("/alive"))),
                pod("b", 3, web(startup=never), role=None),
            )
            await m.wired.ready("a")
            first = await m.ask("a", "/who")
            await m.get("a", "10.244.0.2", "/set?alive=0")
            await m.wired.until(lambda: restarts(m, "a") == 1 and restarts(m, "b") >= 1)
            await m.wired.ready("a")
            assert (await m.ask("a", "/who"))["pid"] != first["pid"]
            assert "leaving" in m.log("a")

    uvloop.run(scenario())


def restarts(m: Mesh, name: str) -> int:
    status = m.wired.status(name)
    return status.containers[0].restarts if status else 0


def test_crashes_back_off_and_a_program_that_is_not_there_says_so() -> None:
    async def scenario() -> None:
        async with mesh() as m:
            crash = web(command=("sh", "-c", "echo dying; exit 5"), ports=())
            absent = web(command=("no-such-program",), ports=())
            m.wired.want(pod("a", 2, crash, role=None), pod("b", 3, absent, role=None), pod("c", 4))
            waits: set[str] = set()

            def crashed_often() -> bool:
                status = m.wired.status("a")
                if status is not None and status.containers[0].reason == "CrashLoopBackOff":
                    waits.add(status.containers[0].message)
                    assert status.containers[0].exit_code == 5
                return restarts(m, "a") >= 5 and restarts(m, "b") >= 1

            await m.wired.until(crashed_often)
            assert {
                f"ended with exit code 5; restarted after {wait} s" for wait in ("0.05", "0.1", "0.2", "0.4")
            } <= waits
            status = m.wired.status("b")
            assert status is not None
            assert "no-such-program" in status.containers[0].message
            await m.wired.ready("c")
            pid = (await m.ask("c", "/who"))["pid"]
            with contextlib.suppress(Exception):
                await m.get("c", "10.244.0.4", "/crash")
            await m.wired.until(lambda: restarts(m, "c") == 1)
            await m.wired.ready("c")
            assert (await m.ask("c", "/who"))["pid"] != pid
            assert m.log("a").count("dying") >= 5

    uvloop.run(scenario())


def test_a_pod_leaves_in_order_and_serves_what_it_has_begun() -> None:
    async def scenario() -> None:
        async with mesh() as m:
            m.wired.want(pod("a", 2), pod("b", 3))
            await m.wired.ready("a", "b")
            async with asyncio.TaskGroup() as tasks:
                slow = tasks.create_task(m.get("a", "10.244.0.3", "/slow?1"))
                await asyncio.sleep(0.3)
                async with m.holder.client() as client:
                    await client.watch()
                    m.wired.want(pod("a", 2))
                    ended = [await anext(client.exits()) for _ in range(2)]
            assert slow.result().status == 200
            assert [process.name for process in ended] == ["app", "istio-proxy"]
            await m.wired.gone("b")
            assert "drained b ready=False phase=Terminating" in m.wired.notes
            assert [each.pod for each in (await m.holder.inventory()).pods] == ["a.demo"]
            assert not PodPaths.of(m.holder.data, Rung.ROOT, ProxyName("b.demo")).here.root.exists()
            assert not (DataDirectory(m.holder.data).logs / "demo_b_app.log").exists()

    uvloop.run(scenario())


def test_an_application_that_ignores_sigterm_is_killed_after_its_grace() -> None:
    async def scenario() -> None:
        async with mesh() as m:
            deaf = web(command=("sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"), ports=())
            m.wired.want(pod("a", 2, deaf, role=None, grace=300))
            await m.wired.ready("a")
            async with m.holder.client() as client:
                await client.watch()
                m.wired.want()
                ended = await anext(client.exits())
            assert ended.exit is not None
            assert ended.exit.signal == signal.SIGKILL
            await m.wired.gone("a")

    uvloop.run(scenario())


def test_a_new_template_starts_before_the_old_one_leaves() -> None:
    async def scenario() -> None:
        async with mesh() as m:
            old = pod("web-1", 2, owner="web")
            m.wired.want(old)
            await m.wired.ready("web-1")
            slow = web(env=(EnvironmentVariable("START_DELAY", "0.5"),))
            m.wired.want(pod("web-2", 3, slow, owner="web"))
            seen: list[tuple[bool, bool]] = []

            def replaced() -> bool:
                first, second = m.wired.status("web-1"), m.wired.status("web-2")
                serving = (first is not None and first.ready, second is not None and second.ready)
                seen.append(serving)
                return first is None and serving[1]

            await m.wired.until(replaced)
            assert all(any(serving) for serving in seen)

    uvloop.run(scenario())


def test_the_same_pod_with_another_template_is_replaced_in_place() -> None:
    async def scenario() -> None:
        async with mesh() as m:
            m.wired.want(pod("a", 2))
            await m.wired.ready("a")
            m.wired.want(pod("a", 2, web(args=("second",))))
            await m.wired.gone("a")
            await m.wired.ready("a")
            assert (await m.ask("a", "/who"))["argv"] == ["second"]
            pid = (await m.ask("a", "/who"))["pid"]
            m.wired.want(pod("a", 2, web(args=("second",)), labels={"only": "a-label"}))
            await asyncio.sleep(0.3)
            assert (await m.ask("a", "/who"))["pid"] == pid

    uvloop.run(scenario())


def test_a_gateway_is_reached_from_the_host_and_lists_no_application() -> None:
    async def scenario() -> None:
        async with mesh() as m:
            auto = replace(web("istio-proxy"), image="auto", ports=())
            m.wired.want(pod("a", 2), pod("gw", 3, auto, role=Role.ROUTER))
            await m.wired.ready("a", "gw")
            status = m.wired.status("gw")
            assert status is not None
            assert [container.name for container in status.containers] == ["istio-proxy"]
            path = PodPaths.of(m.holder.data, Rung.ROOT, ProxyName("gw.demo")).here.ingress_socket(8080)
            reader, writer = await asyncio.open_unix_connection(sock=unixsockets.connect(path))
            writer.write(b"PROXY TCP4 127.0.0.1 127.0.0.1 50000 8080\r\n")  # as the forwarder begins
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            writer.transport.abort()
            # Nobody forwards in this test: that is told, and told again, and hurts nothing.
            m.wired.want(*m.wired.agent.desired.value.pods, forwards=(forward(),))
            async with asyncio.timeout(20):
                while "127.0.0.1:18080" not in (await ask(m.holder.data, "pods"))["problems"]:
                    await asyncio.sleep(0.05)

    def forward() -> HostForward:
        return HostForward(PortNumber(18080), ProxyName("gw.demo"), PortNumber(8080))

    uvloop.run(scenario())


def test_traffic_annotations_are_followed_and_wrong_ones_told() -> None:
    async def scenario() -> None:
        async with mesh() as m:
            free = {"traffic.sidecar.istio.io/excludeInboundPorts": "9080"}
            wrong = {"traffic.sidecar.istio.io/excludeInboundPorts": "http"}
            m.wired.want(
                pod("a", 2), pod("b", 3, annotations=free), pod("c", 4, annotations=wrong), pod("d", 5, role=None)
            )
            await m.wired.ready("a", "b", "d")
            assert (await m.get("d", "10.244.0.2")).header("server") == "envoy"
            assert (await m.get("d", "10.244.0.3")).header("server").startswith("BaseHTTP")
            await m.wired.until(
                lambda: (s := m.wired.status("c")) is not None and "is not a port number" in s.message
            )

    uvloop.run(scenario())


def test_what_the_control_socket_answers() -> None:
    async def scenario() -> None:
        async with mesh() as m:
            m.wired.want(pod("a", 2))
            await m.wired.ready("a")
            data = m.holder.data
            [shown] = await pods(data)
            assert (shown["name"], shown["phase"], shown["ready"]) == ("a.demo", "Running", True)
            assert [container["name"] for container in shown["containers"]] == ["app", "istio-proxy"]
            [proxy] = await proxies(data)
            assert (proxy["name"], proxy["synced"], proxy["refused"]) == ("a.demo", True, [])
            files = await log_files(data, "a.demo")
            assert "listening" in files["app"].read_text()
            with pytest.raises(RemoteError, match="has no container x"):
                await log_files(data, "a.demo", "x")
            await ask(data, "stop")
            await m.wired.gone("a")

    uvloop.run(scenario())


def test_only_processes_of_the_pod_may_speak_for_its_proxy_and_files_are_closed_to_others() -> None:
    async def scenario() -> None:
        async with mesh() as m:
            m.wired.want(pod("a", 2))
            await m.wired.ready("a")
            here = PodPaths.of(m.holder.data, Rung.ROOT, ProxyName("a.demo")).here
            # This test runs in another network namespace, so it is hung up on, although it is root.
            reader, writer = await asyncio.open_unix_connection(sock=unixsockets.connect(here.xds_socket))
            assert await reader.read() == b""
            writer.transport.abort()
            assert stat.S_IMODE(here.root.stat().st_mode) & 0o007 == 0
            assert here.root.stat().st_uid == 1337
            command = f"ls {here.root} /run/meshwright {m.holder.data}/pods 2>&1; true"
            code, said = await run_in(m, "a", command)
            assert code == 0
            assert "xds.sock" not in said
            assert "bootstrap" not in said

    uvloop.run(scenario())


async def run_in(m: Mesh, name: str, command: str) -> tuple[int, str]:
    from meshwright.processes.holder_client import SpawnSpec, execute

    said, null = os.memfd_create("said"), os.open(os.devnull, os.O_RDONLY)
    try:
        spec = SpawnSpec(f"{name}.demo", "x", ("sh", "-c", command))
        code = await execute(DataDirectory(m.holder.data).holder_socket, spec, (null, said, said))
        return code, os.pread(said, 65536, 0).decode()
    finally:
        os.close(said)
        os.close(null)


def test_the_many_pods_of_a_mesh_start_together() -> None:
    async def scenario() -> None:
        async with mesh() as m:
            wanted = [pod(f"p{number}", number) for number in range(2, 9)]
            m.wired.want(*wanted)
            await m.wired.ready(*(each.meta.name for each in wanted))
            answers = [await m.get("p2", each.address) for each in wanted[1:]]
            assert {answer.status for answer in answers} == {200}

    uvloop.run(scenario())
