"""What the tests do inside a mesh. Run as the mesh's owner: `python -m ... DATA NAME ARGUMENTS...` prints JSON.

Standard library only and next to nothing but calls of the client, like any user of it.
"""

import asyncio
import contextlib
import json
import os
import pty
import shlex
import signal
import socket
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from meshwright.processes import procfs, unixsockets
from meshwright.processes.holder_client import (
    Disconnected,
    HolderClient,
    Interception,
    MountSpec,
    PodSpec,
    RemoteError,
    SpawnSpec,
    execute,
)
from meshwright.processes.state import DataDirectory

PROGRAMS = Path(__file__).with_name("programs.py")
SEARCH = ("demo.svc.cluster.local", "svc.cluster.local", "cluster.local")


def _take_number(data: DataDirectory) -> int:
    """A number that no other scenario of this mesh has."""
    for number in range(2, 250):
        with contextlib.suppress(FileExistsError):
            (data.logs / f"scenario-{number}").mkdir()
            return number
    raise AssertionError("too many scenarios on one mesh")


class Scenario:
    """One connection, pods with names and addresses that no other test uses, and a way to run things in them."""

    def __init__(self, data: DataDirectory, holder: HolderClient) -> None:
        self.data = data
        self.holder = holder
        self._base = _take_number(data)

    def spec(self, name: str, number: int, interception: Interception | None = None) -> PodSpec:
        return PodSpec(f"{name}{self._base}.demo", f"10.244.{self._base}.{number}", name, SEARCH, "", interception)

    async def pods(self, *names: str, interception: Interception | None = None) -> list[str]:
        specs = [self.spec(name, 10 + number, interception) for number, name in enumerate(names)]
        return [pod.pod for pod in await self.holder.add_pods(specs)]

    def address(self, number: int) -> str:
        return f"10.244.{self._base}.{10 + number}"

    async def start(self, pod: str, program: str, *arguments: str, role: Any = "app", name: str = "") -> None:
        """Start a program of programs.py and wait until it says that it is ready."""
        name = name or program
        output = self.data.logs / f"{pod}.{name}.log"
        before = output.stat().st_size if output.exists() else 0  # of one that ran before it under this name
        argv = (sys.executable, str(PROGRAMS), program, *arguments)
        spec = SpawnSpec(pod, name, argv, role, str(output), expose=(str(PROGRAMS.parent),))
        await self.holder.spawn(spec)
        for _ in range(500):
            if "ready" in output.read_text()[before:]:
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"{program} did not start: {output.read_text()}")

    async def shell(self, pod: str, script: str, role: Any = "app") -> tuple[int, str]:
        """Run a shell script in a pod; its code and all it wrote."""
        with tempfile.TemporaryFile() as output:
            spec = SpawnSpec(pod, "x", ("sh", "-c", script), role, expose=(str(PROGRAMS.parent),))
            null = os.open(os.devnull, os.O_RDONLY)
            try:
                code = await execute(self.data.holder_socket, spec, (null, output.fileno(), output.fileno()))
            finally:
                os.close(null)
            output.seek(0)
            return code, output.read().decode()

    async def python(self, pod: str, *arguments: str, role: Any = "app") -> str:
        """Run a program of programs.py in a pod; what it printed."""
        code, text = await self.shell(pod, shlex.join((sys.executable, str(PROGRAMS), *arguments)), role)
        assert code == 0, text
        return text.strip()


async def hello(at: Scenario) -> Any:
    found = await at.holder.hello()
    return {"rung": found.rung, "exclusion": found.exclusion, "uids": found.uids, "nameserver": found.nameserver}


async def traffic(at: Scenario) -> Any:
    """Two pods reach each other by name."""
    one, two = await at.pods("one", "two")
    await at.start(two, "serve", "80")
    await at.holder.replace_dns({"two.demo.svc.cluster.local": [at.address(1)]})
    return {
        "by_name": await at.python(one, "call", "two", "80"),
        "by_address": await at.python(one, "call", at.address(1), "80"),
        "from": at.address(0),
        "hosts": await at.python(one, "call", "two.demo", "80"),
    }


async def neighbours(at: Scenario) -> Any:
    """Whom a pod believes to be behind the bridge's and another pod's address, while pods come and go."""
    one, two = await at.pods("one", "two")
    known: list[str] = []
    for _ in range(2):
        await at.start(two, "serve", "80")
        answered = await at.python(one, "call", at.address(1), "80")
        await at.shell(one, "getent hosts one")  # asks the bridge
        _, table = await at.shell(one, "cat /proc/net/arp")
        rows = sorted(line.split() for line in table.splitlines()[1:])
        known.append(" ".join([answered, *(f"{row[0]} {row[3]}" for row in rows)]))
        await at.holder.remove_pod(two)
        more = [at.spec(f"more{number}", 30 + number) for number in range(6)]
        await at.holder.add_pods(more)
        await at.holder.add_pods([at.spec("two", 11)])
        for spec in more:
            await at.holder.remove_pod(spec.pod)
    return {"known": known, "bridge": "10.244.0.1", "pod": at.address(1)}


async def names(at: Scenario) -> Any:
    """What the DNS server answers, over UDP and TCP."""
    [pod] = await at.pods("asker", interception=Interception())
    table = {
        "Web.demo.svc.cluster.local": ["240.240.0.7"],
        "two.demo.svc.cluster.local": ["10.0.0.1", "10.0.0.2", "fd00::5"],
        "many.demo.svc.cluster.local": [f"10.1.{number // 250}.{number % 250}" for number in range(100)],
        "*.outside.example": ["240.240.1.1"],
    }
    await at.holder.replace_dns(table)
    questions = {
        "a": "udp web.demo.svc.cluster.local 1",
        "case": "udp WEB.Demo.svc.cluster.LOCAL 1",
        "nodata": "udp web.demo.svc.cluster.local 28",
        "srv": "udp web.demo.svc.cluster.local 33",
        "aaaa": "udp two.demo.svc.cluster.local 28",
        "two": "udp two.demo.svc.cluster.local 1",
        "unknown": "udp nobody.demo.svc.cluster.local 1",
        "above": "udp demo.svc.cluster.local 1",
        "wildcard": "udp deep.er.outside.example 1",
        "outside": "udp no-such-host.invalid 1",
        "tcp": "tcp web.demo.svc.cluster.local 1",
        "cut": "udp many.demo.svc.cluster.local 1",
        "whole": "tcp many.demo.svc.cluster.local 1",
        "other_server": "udp web.demo.svc.cluster.local 1 8.8.8.8",
    }
    lines = (await at.python(pod, "many", "ask", *questions.values())).splitlines()
    answers: dict[str, Any] = {key: json.loads(line) for key, line in zip(questions, lines, strict=True)}
    await at.shell(pod, f"{sys.executable} {PROGRAMS} rubbish")
    answers["after_rubbish"] = json.loads(await at.python(pod, "ask", *questions["a"].split()))
    _, answers["libc"] = await at.shell(pod, "getent ahosts web; getent hosts nobody || echo none")
    return answers


async def interception(at: Scenario) -> Any:
    """Where connections end up: stand-ins for Envoy say on which port and where they were meant to go."""
    rules = Interception(
        exclude_inbound_ports=(9100,),
        exclude_outbound_ports=(9200,),
        exclude_outbound_ranges=("10.244.0.0/30", "10.99.0.0/16"),
    )
    [pod] = await at.pods("mesh", interception=rules)
    specs = [at.spec("ext", 20)]
    [outside] = [item.pod for item in await at.holder.add_pods(specs)]
    ext = specs[0].ip
    hello = await at.holder.hello()
    mark = "mark" if hello.exclusion == "mark" else ""
    await at.start(pod, "proxy", "15001", "15006", "15021", role="proxy")
    await at.start(pod, "serve", "8080", "9100")
    await at.start(outside, "serve", "9000", "9200")

    own = at.address(0)
    app = {
        "app_to_vip": "240.240.0.9 80",
        "app_to_ext": f"{ext} 9000",
        "app_excluded_port": f"{ext} 9200",
        "app_to_self": f"{own} 8080",
        "app_to_loopback": "127.0.0.1 8080",
    }
    envoy = {
        "envoy_to_ext": f"{ext} 9000 - {mark}",
        "envoy_to_own_pod": f"{own} 8080 - {mark}",
        "envoy_to_app": f"127.0.0.1 8080 127.0.0.6 {mark}",
        "envoy_to_app_by_pod_ip": f"{own} 8080 127.0.0.6 {mark}",
    }
    other = {"ext_to_pod": f"{own} 8080", "ext_excluded": f"{own} 9100", "ext_to_ready": f"{own} 15021"}
    found = {"own": own, "ext": ext}
    callers: list[tuple[str, dict[str, str], Any]] = [
        (pod, app, "app"),
        (pod, envoy, "proxy"),
        (outside, other, "app"),
    ]
    for caller, calls, role in callers:
        lines = (await at.python(caller, "many", "call", *calls.values(), role=role)).splitlines()
        found |= dict(zip(calls, lines, strict=True))
    return {**found, "probe": await _dial(at, pod, own, 8080), "from_bridge": await _dial(at, "", own, 8080)}


async def services(at: Scenario) -> Any:
    """What a pod without interception reaches at the addresses of services, from one table to the next."""
    client, other = await at.pods("client", "other")
    await at.start(client, "serve", "8001")
    await at.start(other, "serve", "8002", "9000")
    here, there = at.address(0), at.address(1)
    both = [f"{here}:8001", f"{there}:8002"]
    await at.holder.replace_services(
        {"240.240.9.1:80": both, "240.240.9.2:80": [f"{here}:8001"], "240.240.9.3:80": []}
    )
    questions = [*["240.240.9.1 80"] * 24, "240.240.9.2 80", "240.240.9.3 80", "240.240.9.1 81", "240.240.9.9 80"]
    lines = (await at.python(client, "many", "attempt", *questions)).splitlines()
    found: dict[str, Any] = {"both": sorted(set(lines[:24])), "self": lines[24], "none": lines[25]}
    found |= {"other_port": lines[26], "other_address": lines[27]}
    await at.holder.replace_services({"240.240.9.1:80": [f"{there}:9000"], "240.240.9.2:80": []})
    found["replaced"] = await at.python(client, "attempt", "240.240.9.1", "80")
    found["gone"] = await at.python(client, "attempt", "240.240.9.2", "80")
    refused: list[str] = []
    for key, endpoint in (("1.2.3.4:80 } accept", "1.2.3.4:1"), ("1.2.3.4:80", "a:1"), ("1.2.3.4:0", "1.2.3.4:1")):
        try:
            await at.holder.replace_services({key: [endpoint]})
        except RemoteError as error:
            refused.append(error.code)
    found["refused"] = refused
    found["still"] = await at.python(client, "attempt", "240.240.9.1", "80")
    await at.holder.replace_services({})
    found["cleared"] = await at.python(client, "attempt", "240.240.9.1", "80")
    return found


async def routed(at: Scenario) -> Any:
    """Whom servers see behind a service, and directly, when the first two of four pods are routed."""
    specs = [replace(at.spec(name, 10 + number), routed=number < 2) for number, name in enumerate("abcd")]
    plain, own, server, other = await at.holder.add_pods(specs)
    await at.start(server.pod, "serve", "8001")
    await at.start(own.pod, "serve", "8002")
    table = {"240.240.9.1:80": [f"{at.address(2)}:8001"], "240.240.9.2:80": [f"{at.address(1)}:8002"]}
    await at.holder.replace_services(table)
    calls = [(plain, 1), (plain, 2), (other, 2), (own, 2), (other, 1)]
    found = [await at.python(pod.pod, "attempt", f"240.240.9.{number}", "80") for pod, number in calls]
    found += [await at.python(plain.pod, "attempt", at.address(2), "8001"), await _dial(at, "", at.address(1), 8002)]
    await at.holder.replace_services({})
    return {"found": found, "plain": at.address(0), "other": at.address(3)}


async def open_connection(at: Scenario) -> Any:
    """A connection goes on though its service has lost its endpoint meanwhile."""
    client, other = await at.pods("talker", "listener")
    await at.start(other, "echo", "8000")
    await at.holder.replace_services({"240.240.9.1:80": [f"{at.address(1)}:8000"]})
    await at.start(client, "converse", "240.240.9.1", "80")
    await at.holder.replace_services({"240.240.9.1:80": []})
    output = at.data.logs / f"{client}.converse.log"
    await at.holder.signal(client, "converse", signal.SIGUSR1)
    for _ in range(500):
        if "again" in output.read_text():
            break
        await asyncio.sleep(0.02)
    return output.read_text().split()


async def _dial(at: Scenario, pod: str, address: str, port: int) -> str:
    loop = asyncio.get_running_loop()
    with await at.holder.socket(pod) as probe:
        await loop.sock_connect(probe, (address, port))
        return (await loop.sock_recv(probe, 4096)).decode().strip()


async def isolation(at: Scenario) -> Any:
    """What an application can do to another pod, and to the sandbox."""
    one, victim = await at.pods("intruder", "victim")
    folder = (await at.holder.add_pods([at.spec("victim", 11)]))[0].folder
    secret = folder / "key.pem"
    secret.write_text("private key of the victim")
    secret.chmod(0o644)
    await at.start(victim, "serve", "80")
    victims = await at.holder.list()
    pid = next(item.pid for item in victims.processes if item.pod == victim)
    scripts = {
        "caps": "grep -E '^(Cap|NoNewPrivs)' /proc/self/status",
        "data": f"ls {at.data.root}",
        "key": f"cat {secret}",
        "socket": f"{sys.executable} {PROGRAMS} connect {at.data.holder_socket}",
        "tmp": "ls -A /tmp /dev/shm",
        "signal": f"kill -0 {pid}",
        "memory": f"head -c 1 /proc/{pid}/mem",
        "environment": f"cat /proc/{pid}/environ",
        "root": f"ls /proc/{pid}/root/run/meshwright /proc/1/root/{at.data.root}",
        "namespaces": f"nsenter --net=/proc/{pid}/ns/net true",
        "netns": "nsenter --net=/run/netns/mw-0 true",
        "rules": "nft flush ruleset",
        "link": "ip link set eth0 down",
        "mount": "umount /etc/resolv.conf",
        "raw": f"{sys.executable} {PROGRAMS} raw",
        "mark": f"{sys.executable} {PROGRAMS} mark",
        "own_proxy_port": "true",
    }
    results = {key: await at.shell(one, script) for key, script in scripts.items()}
    _, own = await at.shell(victim, "cat /run/meshwright/key.pem", "proxy")
    _, hostname = await at.shell(victim, "hostname; id -u")
    caps = (await at.shell(victim, scripts["caps"], "proxy"))[1]
    return {"app": results, "proxy_sees": own, "who": hostname.split(), "proxy_caps": caps}


async def spawning(at: Scenario) -> Any:
    """Errors of spawn, output to files, mounts, environment, signals and exits."""
    [pod] = await at.pods("spawner")
    found: dict[str, Any] = {}
    for key, argv in (("missing", ("/no/such/program",)), ("not_in_path", ("no-such-program",))):
        try:
            await at.holder.spawn(SpawnSpec(pod, key, argv))
        except RemoteError as error:
            found[key] = [error.code, str(error)]
    await at.holder.watch()
    shared = at.data.root / "config.txt"
    shared.write_text("from a volume")
    output = at.data.logs / pod / "app.log"
    script = "cat /tmp/volume/config.txt; echo; echo $GREETING; echo oops >&2; pwd; exit 7"
    mount = MountSpec(str(shared), "/tmp/volume/config.txt")
    spec = SpawnSpec(pod, "app", ("sh", "-c", script), "app", str(output), {"GREETING": "hi"}, "/usr", (), (mount,))
    await at.holder.spawn(spec)
    ended = await anext(at.holder.exits())
    found["exit"] = [ended.name, ended.exit.code if ended.exit else None]
    found["output"] = output.read_text().split("\n")
    await at.holder.spawn(SpawnSpec(pod, "app", ("sleep", "100")))
    try:
        await at.holder.spawn(SpawnSpec(pod, "app", ("sleep", "100")))
    except RemoteError as error:
        found["twice"] = error.code
    handle = await at.holder.pidfd(pod, "app")
    found["outside"] = handle.pid is not None and procfs.command_of(handle.pid) == "sleep 100"
    os.close(handle.pidfd)
    await at.holder.signal(pod, "app", signal.SIGTERM)
    ended = await anext(at.holder.exits())
    found["killed"] = ended.exit.signal if ended.exit else None
    await at.holder.forget(pod, "app")
    found["left"] = [item.name for item in (await at.holder.list()).processes if item.pod == pod]
    return found


async def exposing(at: Scenario) -> Any:
    """A program in a folder that its uid could not enter, also by a symbolic link; nothing else there is shown."""
    [pod] = await at.pods("exposed")
    private = at.data.root.parent / "private"
    (private / "tool" / "bin").mkdir(parents=True)
    private.chmod(0o700)
    (private / "other").write_text("not shown")
    (private / "tool" / "bin" / "run").write_text("#!/bin/sh\nls -A " + str(private) + "\n")
    (private / "tool" / "bin" / "run").chmod(0o755)
    link = private / "link"
    link.symlink_to("tool")
    found: dict[str, Any] = {}
    for key, folder in (("real", private / "tool"), ("link", link)):
        output = at.data.logs / f"{key}.log"
        await at.holder.watch()
        argv = (str(folder / "bin" / "run"),)
        await at.holder.spawn(SpawnSpec(pod, key, argv, output=str(output), expose=(str(folder),), cwd=str(folder)))
        ended = await anext(at.holder.exits())
        found[key] = [ended.exit.code if ended.exit else None, output.read_text().split()]
    return found


async def executing(at: Scenario) -> Any:
    """`exec`: descriptors, exit codes, a terminal, and the end of a client."""
    [pod] = await at.pods("execs")
    reader, writer = os.pipe()
    out_reader, out_writer = os.pipe()
    os.write(writer, b"hello from outside\n")
    os.close(writer)
    spec = SpawnSpec(pod, "x", ("sh", "-c", "tr a-z A-Z; exit 5"))
    code = await execute(at.data.holder_socket, spec, (reader, out_writer, out_writer))
    killed = (await at.shell(pod, "kill -9 $$"))[0]
    main, side = pty.openpty()
    terminal = SpawnSpec(pod, "x", ("sh", "-c", "tty >/dev/null && echo yes; ps -o tty= -p $$"), terminal=True)
    await execute(at.data.holder_socket, terminal, (side, side, side))
    shown = os.read(main, 4096).decode()
    started: list[Any] = []
    try:
        async with asyncio.timeout(1.0):
            sleeper = SpawnSpec(pod, "x", ("sleep", "12345"))
            await execute(at.data.holder_socket, sleeper, (side, side, side), started=started)
    except TimeoutError:
        pass
    gone = False
    for _ in range(200):
        _, listing = await at.shell(pod, "ps -eo args")
        gone = "sleep 12345" not in listing
        if gone:
            break
        await asyncio.sleep(0.02)
    return {"code": code, "out": os.read(out_reader, 100).decode(), "killed": killed, "tty": shown, "gone": gone}


async def joining(at: Scenario) -> Any:
    """`exec` into a process: its /tmp, its host name, its uid; and nothing into one that has ended."""
    [pod] = await at.pods("joined")
    await at.holder.spawn(SpawnSpec(pod, "app", ("sh", "-c", "echo kept > /tmp/note; exec sleep 1000")))
    output = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the scenario
    null = os.open(os.devnull, os.O_RDONLY)
    script = "while ! test -s /tmp/note; do sleep 0.02; done; cat /tmp/note; hostname; id -u; echo more > /tmp/other"
    spec = SpawnSpec(pod, "x", ("sh", "-c", script), join="app")
    code = await execute(at.data.holder_socket, spec, (null, output.fileno(), output.fileno()))
    listing = await at.shell(pod, "ls /tmp")
    again = SpawnSpec(pod, "x", ("cat", "/tmp/other"), join="app")
    shared = await execute(at.data.holder_socket, again, (null, output.fileno(), output.fileno()))
    try:
        await execute(at.data.holder_socket, SpawnSpec(pod, "x", ("true",), join="none"), (null, null, null))
        refused = ""
    except RemoteError as error:
        refused = error.code
    output.seek(0)
    return {"code": code, "said": output.read().decode().split(), "apart": listing, "shared": shared,
            "refused": refused}  # fmt: skip


async def adoption(at: Scenario, step: str, pod: str) -> Any:
    """Before and after the death of a client: the same processes."""
    if step == "start":
        [pod] = await at.pods("adopted")
        await at.start(pod, "serve", "80")
        await at.holder.spawn(SpawnSpec(pod, "short", ("sh", "-c", "exit 4")))
    known = (await at.holder.list()).processes
    return {"pod": pod, "processes": [[item.name, item.pid, item.start_time] for item in known if item.pod == pod]}


async def adopted_exit(at: Scenario, pod: str) -> Any:
    """The exit that happened while nobody watched is still told."""
    for _ in range(500):
        for item in (await at.holder.list()).processes:
            if item.pod == pod and item.name == "short" and item.exit is not None:
                return item.exit.code
        await asyncio.sleep(0.01)
    return None


async def rude_clients(at: Scenario) -> Any:
    """What clients send that do not know the protocol; the holder answers or hangs up, and lives."""
    answers: list[Any] = []
    injection = b'{"exclude_outbound_ranges":["1.2.3.4 } accept; flush ruleset"]}'
    lines = [
        b"not json\n",
        b"[]\n",
        b'{"id":1}\n',
        b'{"id":2,"op":"fly"}\n',
        b'{"id":3,"op":"spawn","pod":"../../etc","name":"x","argv":["a"]}\n',
        b'{"id":4,"op":"add_pods","pods":[{"pod":"p","ip":"300.1.1.1"}]}\n',
        b'{"id":5,"op":"add_pods","pods":[7]}\n',
        b'{"id":6,"op":"exec","pod":"p","argv":["a"]}\n',
        b'{"id":7,"op":"signal","pod":"p","name":"n","signal":99999}\n',
        b'{"id":8,"op":"add_pods","pods":[{"pod":"p","ip":"10.244.0.9","interception":%s}]}\n' % injection,
        b"[" * 100_000 + b"\n",
    ]
    for line in lines:
        with unixsockets.connect(at.data.holder_socket) as client:
            client.settimeout(5)
            client.sendall(line)
            answers.append(json.loads(client.makefile().readline()).get("error", {}).get("code"))
    with unixsockets.connect(at.data.holder_socket) as client:
        client.settimeout(10)
        hung_up = False
        try:
            for _ in range(100):
                client.sendall(b"x" * 100_000)
        except OSError:
            hung_up = True
    with unixsockets.connect(at.data.holder_socket) as client:
        client.sendall(b'{"id":1,"op":"hel')
    return {"codes": answers, "hung_up": hung_up, "alive": (await at.holder.hello()).protocol}


async def many(at: Scenario, count: int) -> Any:
    """A batch of pods, made twice (the second time nothing is to be done) and removed."""
    specs = [at.spec(f"batch{number}", number + 1) for number in range(count)]
    first = await at.holder.add_pods(specs)
    again = await at.holder.add_pods(specs)
    clash = ""
    try:
        await at.holder.add_pods([PodSpec("other.demo", specs[0].ip)])
    except RemoteError as error:
        clash = error.code
    for pod in first:
        await at.holder.remove_pod(pod.pod)
    left = [pod.pod for pod in (await at.holder.list()).pods if pod.pod in {item.pod for item in first}]
    folders = [pod.pod for pod in first if pod.folder.exists()]
    return {"same": first == again, "uids": len({pod.uid for pod in first}), "clash": clash, "left": left + folders}


async def strays(at: Scenario) -> Any:
    """A daemon that left its session goes with its pod."""
    [pod] = await at.pods("strays")
    await at.shell(pod, "setsid -f sleep 54321; sleep 0.3")
    handle_before = _command_runs("sleep 54321")
    await at.holder.remove_pod(pod)
    return [handle_before, _command_runs("sleep 54321")]


def _command_runs(command: str) -> bool:
    return any(procfs.command_of(pid) == command for pid in procfs.pids())


async def furnish(at: Scenario) -> Any:
    """Pods with processes, a daemon and a forwarded gateway: something to leave behind."""
    one, two = await at.pods("app", "gateway")
    await at.start(one, "serve", "80")
    await at.shell(one, "setsid -f sleep 777; sleep 0.3")
    folder = (await at.holder.list()).pods[-1].folder
    inside = (await at.holder.list()).pods[-1].inside
    await at.start(two, "gateway", str(inside / "http.sock"), role="proxy")
    if (await at.holder.hello()).nameserver:
        await at.holder.replace_dns({"app.demo.svc.cluster.local": [at.address(0)]})
    address = await at.holder.forward("127.0.0.1:0", folder / "http.sock")
    inventory = await at.holder.list()
    outside: list[int] = []
    for item in inventory.processes:
        handle = await at.holder.pidfd(item.pod, item.name)
        outside.append(handle.pid or 0)
        os.close(handle.pidfd)
    return {"address": address, "pids": outside, "pod": one, "app": at.address(0)}


async def ask_name(at: Scenario, pod: str) -> Any:
    return json.loads(await at.python(pod, "ask", "udp", "app.demo.svc.cluster.local", "1"))


async def resolver_pid(at: Scenario) -> Any:
    """The DNS server's pid inside the sandbox; None while it does not run."""
    return next((item.pid for item in (await at.holder.list()).own if item.exit is None), None)


async def inventory(at: Scenario) -> Any:
    return len((await at.holder.list()).pods)


async def connected_until_gone(at: Scenario) -> Any:
    """A client learns that its holder has gone."""
    await at.holder.shutdown()
    try:
        async for _ in at.holder.exits():
            pass
    except Disconnected:
        return "gone"
    return "?"


async def loopback_pod(at: Scenario) -> Any:
    """The rung without namespaces: a process on a loopback address, no DNS."""
    info = await at.holder.add_pods([PodSpec("plain.demo", "127.66.0.5")])
    await at.start("plain.demo", "serve", "18080", "127.66.0.5")
    with socket.create_connection(("127.66.0.5", 18_080), 5) as client:
        said = client.recv(200).decode().strip()
    try:
        await at.holder.replace_dns({})
        dns = "?"
    except RemoteError as error:
        dns = error.code
    try:
        await at.holder.replace_services({})
    except RemoteError as error:
        dns += f" {error.code}"
    await at.shell("plain.demo", "setsid -f sleep 4242; sleep 0.3")
    return {"said": said, "dns": dns, "inside": str(info[0].inside) == str(info[0].folder)}


async def run(data: DataDirectory, name: str, arguments: list[Any]) -> Any:
    deadline = time.monotonic() + 10
    while True:
        try:
            holder = HolderClient.open(data.holder_socket)
            break
        except Disconnected:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.02)
    try:
        return await globals()[name](Scenario(data, holder), *arguments)
    finally:
        holder.close()


def main() -> None:
    data = DataDirectory(Path(sys.argv[1]))
    result = asyncio.run(run(data, sys.argv[2], [json.loads(text) for text in sys.argv[3:]]))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
