"""kill -9 of everything: what goes on, what is mended, and that nothing is left."""

import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from meshwright.processes import procfs, state
from tests.processes.machines import Machine, eventually

_KINDS = ("root", "single", "range", "loopback")
_AGENT: dict[str, Any] = {"name": "agent", "argv": ["/bin/sleep", "1000"], "env": {}}


def talk(address: str) -> bytes:
    """One exchange with the gateway behind a forwarded address."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), 10) as client:
        client.sendall(b"ping")
        return client.recv(100)


def kill(pid: int) -> None:
    process = procfs.identify(pid)
    assert process is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not procfs.alive(process), f"the end of {pid}")


def assert_nothing_left(machine: Machine, seen: list[int]) -> None:
    """No process, socket or state; with the processes namespaces and rules are gone."""
    assert machine.marked() == []
    assert [pid for pid in seen if "processes_tests/programs.py" in procfs.command_of(pid)] == []
    left = sorted(path.name for path in machine.data.root.iterdir())
    assert [name for name in left if name not in {"id", "lock", "logs"}] == []


@pytest.mark.parametrize("kind", _KINDS)
def test_down_leaves_nothing(kind: str, fresh: Callable[[str], Machine]) -> None:
    machine = fresh(kind)
    machine.up((_AGENT,))
    found: dict[str, Any] = machine.scenario("loopback_pod" if kind == "loopback" else "furnish")
    if kind == "loopback":
        assert found == {
            "said": "app 18080 meant  from 127.0.0.1",
            "dns": "not-supported not-supported",
            "inside": True,
        }
    else:
        assert talk(found["address"]) == b"gateway:ping"
    seen = [process.pid for process in machine.marked()]
    assert machine.down()
    assert_nothing_left(machine, seen)
    assert machine.down() == []


@pytest.mark.parametrize("kind", ["root", "single", "range"])
def test_killed_holder(kind: str, fresh: Callable[[str], Machine]) -> None:
    """Its whole sandbox goes with it at once; the supervisor makes a new, empty one."""
    machine = fresh(kind)
    machine.up((_AGENT,))
    found = machine.scenario("furnish")
    before = machine.pids()
    kill(before["holder"])
    eventually(lambda: not any(procfs.start_time(pid) for pid in found["pids"]), "the end of the pods' processes")
    eventually(lambda: machine.pids().get("holder", before["holder"]) != before["holder"], "a new holder")
    assert machine.scenario("inventory") == 0
    after = machine.pids()
    assert (after["agent"], after["forwarder"]) == (before["agent"], before["forwarder"])
    machine.down()
    assert_nothing_left(machine, found["pids"])


def test_killed_holder_without_namespaces(fresh: Callable[[str], Machine]) -> None:
    machine = fresh("loopback")
    machine.up()
    machine.scenario("loopback_pod")
    before = machine.pids()["holder"]
    kill(before)
    eventually(lambda: machine.pids().get("holder", before) != before, "a new holder")
    left = procfs.marked_by(state.MARKER, machine.data.mesh_id(), also=state.POD_MARKER)
    assert left == [], "also the daemon that no namespace held"
    assert machine.scenario("inventory") == 0


def test_killed_forwarder_and_resolver(fresh: Callable[[str], Machine]) -> None:
    """Both come back with what they knew."""
    machine = fresh("root")
    machine.up()
    found = machine.scenario("furnish")
    before = machine.pids()["forwarder"]
    kill(before)
    eventually(lambda: machine.pids().get("forwarder", before) != before, "a new forwarder")
    eventually(lambda: _answers(found["address"]), "the forwarded address")
    inside = machine.scenario("resolver_pid")
    kill(_outside(machine, inside))
    eventually(lambda: machine.scenario("resolver_pid") not in {None, inside}, "a new DNS server")
    assert machine.scenario("ask_name", found["pod"])["addresses"] == [found["app"]]


def _answers(address: str) -> bool:
    try:
        return talk(address) == b"gateway:ping"
    except OSError:
        return False


def _outside(machine: Machine, inside: int) -> int:
    """The pid out here of a process that is `inside` in the sandbox."""
    for process in machine.marked():
        lines = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines()
        numbers = next(line.split()[1:] for line in lines if line.startswith("NSpid:"))
        if len(numbers) > 1 and int(numbers[-1]) == inside:
            return process.pid
    raise AssertionError(f"no process {inside}")


@pytest.mark.parametrize("kind", ["root", "single", "loopback"])
def test_killed_supervisor(kind: str, fresh: Callable[[str], Machine]) -> None:
    """Traffic goes on without it; the next start ends the old processes and begins anew."""
    machine = fresh(kind)
    machine.up((_AGENT,))
    if kind == "loopback":
        machine.scenario("loopback_pod")
        address = ""
    else:
        address = machine.scenario("furnish")["address"]
    before = machine.pids()
    old = {process.pid for process in machine.marked()}
    kill(before["supervisor"])
    if address:
        assert talk(address) == b"gateway:ping"
    machine.up((_AGENT,))
    after = machine.pids()
    assert not set(after.values()) & set(before.values())
    assert not old & {process.pid for process in machine.marked()}
    assert machine.scenario("inventory") == 0
    machine.down()
    assert_nothing_left(machine, sorted(old))


def test_all_killed_and_swept(fresh: Callable[[str], Machine]) -> None:
    machine = fresh("root")
    machine.up((_AGENT,))
    seen = machine.scenario("furnish")["pids"]
    for pid in machine.pids().values():
        os.kill(pid, signal.SIGKILL)
    machine.process("sweep", "--data", str(machine.data.root))
    assert_nothing_left(machine, seen)


def test_a_crashing_child_is_started_again(fresh: Callable[[str], Machine]) -> None:
    machine = fresh("root")
    marks = machine.folder / "marks"
    script = f"echo up >> {marks}; test $(wc -l < {marks}) -ge 3 && exec sleep 1000"
    machine.up(({"name": "agent", "argv": ["/bin/sh", "-c", script], "env": {}},))
    eventually(lambda: marks.exists() and len(marks.read_text().split()) == 3, "three starts")

    def restarts() -> int:
        children = state.read_json(machine.data.supervisor_state).get("children", {})
        return children.get("agent", {}).get("restarts", 0)

    eventually(lambda: restarts() == 2, "the count")


def test_children_that_end_at_once_are_noticed(fresh: Callable[[str], Machine]) -> None:
    """However early, and when others are started at the same moment."""
    machine = fresh("root")
    names = [f"short{number}" for number in range(8)]
    machine.up(tuple({"name": name, "argv": ["/bin/true"], "env": {}} for name in names))
    log = machine.data.logs / "supervisor.log"

    def ended() -> list[int]:
        said = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
        return [sum(one.get("name") == name and "status" in one for one in said) for name in names]

    eventually(lambda: min(ended()) >= 3, "each of them has ended three times")


def test_one_mesh_per_data_directory(fresh: Callable[[str], Machine]) -> None:
    machine = fresh("root")
    machine.up()
    pids = machine.pids()
    done = machine.process("supervisor", "--data", str(machine.data.root), check=False)
    assert done.returncode == 1
    assert "already runs" in done.stderr
    assert machine.pids() == pids


def test_a_start_that_fails_says_why(fresh: Callable[[str], Machine]) -> None:
    machine = fresh("root")
    bad: dict[str, Any] = {"name": "agent", "argv": ["/no/such/agent"], "env": {}}
    with pytest.raises(AssertionError, match="/no/such/agent"):
        machine.up((bad,))
    assert_nothing_left(machine, [])


def test_shutdown_over_the_socket(fresh: Callable[[str], Machine]) -> None:
    machine = fresh("root")
    script = f"{machine.python} -m meshwright.processes holder --data {machine.data.root} --rung root 2>/dev/null"
    machine.run("/bin/sh", "-c", script + " >/dev/null")
    assert machine.scenario("connected_until_gone") == "gone"
    eventually(lambda: machine.marked() == [], "the end of all")


def test_a_data_directory_with_a_long_name(fresh: Callable[[str], Machine]) -> None:
    short = fresh("root")
    folder = short.folder / ("long" * 40)
    folder.mkdir()
    machine = Machine(short.person, folder, short.code, short.python)
    try:
        machine.up()
        assert talk(machine.scenario("furnish")["address"]) == b"gateway:ping"
    finally:
        machine.down()
