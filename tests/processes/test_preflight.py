"""What is said before anything starts; and the lowest rung, where the kernel forbids namespaces."""

import os
import socket
from collections.abc import Callable

import pytest

from meshwright.processes import identities, preflight
from meshwright.processes.preflight import check
from tests.processes.machines import Machine


def test_root_gets_the_first_rung() -> None:
    report = check()
    assert (report.rung, report.single_uid, report.ok) == ("root", False, True), str(report)
    assert "tried" in report.reasons[-1]


def test_a_busy_port_is_named_with_its_owner() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as other:
        port = taken.getsockname()[1]
        free = other.getsockname()[1]
        other.close()
        report = check([port, ("127.0.0.1", free)], "loopback")
    assert not report.ok
    [busy] = report.busy_ports
    assert (busy.port, busy.pid) == (port, os.getpid())
    assert "python" in busy.command
    assert f"port {port} on 127.0.0.1 is taken by process {os.getpid()}" in str(report)


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_another_operating_system_gets_one_clear_sentence(platform: str) -> None:
    report = check([8080], platform=platform)
    assert report.rung is None
    assert report.reasons == (f"meshwright runs its mesh on Linux only, and this is {platform}",)
    assert len(report.fixes) == 1


def test_an_ordinary_user_hears_about_uids(fresh: Callable[[str], Machine]) -> None:
    done = fresh("single").process("preflight")
    assert done.stdout.startswith("rung: user")
    assert "not a security boundary" in done.stdout
    assert "usermod --add-subuids" in done.stdout


def test_a_user_with_ranges_gets_several_uids(fresh: Callable[[str], Machine]) -> None:
    done = fresh("range").process("preflight")
    assert done.stdout.startswith("rung: user\n  why: user: works with the subordinate uids"), done.stdout


def test_missing_programs_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "_PLACES", "/nowhere")
    report = check(wanted_rung="root")
    assert report.rung is None
    assert report.reasons == ("root: ip and nft not installed",)
    assert "iproute2 nftables" in report.fixes[0]


_NO_NAMESPACES = """
set -e
echo 0 > /proc/sys/user/max_user_namespaces
echo 0 > /proc/sys/user/max_net_namespaces
exec "$@"
"""


def forbid(machine: Machine, *argv: str) -> str:
    """Run one of our programs where the kernel allows no further namespaces."""
    command = ("unshare", "-Ur", "sh", "-c", _NO_NAMESPACES, "sh", *argv)
    return machine.run(*command).stdout


def test_without_namespaces_the_last_rung_works(fresh: Callable[[str], Machine]) -> None:
    machine = fresh("loopback")
    text = forbid(machine, machine.python, "-m", "meshwright.processes", "preflight")
    assert text.startswith("rung: loopback")
    assert "No space left on device" in text
    assert "demo, not enforcing" in text
    assert "sysctl -w user.max_user_namespaces=10000" in text
    machine.data.run_file.write_text('{"rung": "loopback"}')
    os.chown(machine.data.run_file, machine.person.uid, machine.person.uid)
    up = f"{machine.python} -m meshwright.processes supervisor --data {machine.data.root} --detach"
    act = f"{machine.python} -m processes_tests.scenarios {machine.data.root} loopback_pod"
    said = forbid(machine, "sh", "-ec", f"{up}; {act}")
    assert "app 18080" in said
    assert machine.down()
    assert machine.marked() == []


def test_a_holder_that_cannot_start_says_why(fresh: Callable[[str], Machine]) -> None:
    machine = fresh("loopback")
    script = f"{machine.python} -m meshwright.processes holder --data {machine.data.root} --rung root; echo status $?"
    done = machine.run("unshare", "-Ur", "sh", "-c", _NO_NAMESPACES, "sh", "sh", "-c", script)
    assert "status 1" in done.stdout
    assert "the holder could not be started: [Errno 28] unshare" in done.stderr


def test_uid_plans() -> None:
    everything = identities.plan_of("0 0 4294967295\n")
    assert (everything.app(0), everything.app(1), everything.exclusion) == (1_900_000_000, 1_900_000_001, "uid")
    ranged = identities.plan_of("0 1000 1\n1 100000 65536\n")
    assert (ranged.app(0), ranged.proxy, ranged.exclusion) == (10_000, 1337, "uid")
    single = identities.plan_of("0 1000 1\n")
    assert (single.app(0), single.proxy, single.exclusion) == (None, None, "mark")


def test_subordinate_ranges(tmp_path: os.PathLike[str]) -> None:
    folder = preflight.Path(tmp_path)
    (folder / "subuid").write_text("other:1:65536\nann:100000:65536\nbroken\n77:9:99999\n")
    assert identities.subordinate_ranges("ann", 5, folder) is None, "no subgid"
    (folder / "subgid").write_text("ann:200000:65536\nsmall:1:10\n")
    found = identities.subordinate_ranges("ann", 5, folder)
    assert found == identities.SubordinateRanges(100_000, 65_536, 200_000, 65_536)
    assert identities.subordinate_ranges("small", 6, folder) is None
