"""Meshes shared by the tests of this folder, one for every kind of person."""

import os
import subprocess
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.processes.machines import NOBODY, Machine, Person, make_machine, remove_machine

_KINDS = ("root", "single", "range")


def _administer(*argv: str) -> str:
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.stderr}"
    return done.stdout


@contextmanager
def _user_with_ranges() -> Generator[int]:
    """An ordinary user with subordinate uids, made for this run and removed after it."""
    name = f"mwtest{os.getpid()}"
    _administer("useradd", "--no-create-home", "--shell", "/usr/sbin/nologin", name)
    try:
        first = 200_000_000 + os.getpid() * 65_536 % 500_000_000
        wanted = f"{first}-{first + 65_535}"
        _administer("usermod", "--add-subuids", wanted, "--add-subgids", wanted, name)
        yield int(_administer("id", "-u", name))
    finally:
        _administer("userdel", name)


@pytest.fixture(scope="session")
def people() -> Iterator[Callable[[str], Person]]:
    """Who runs a mesh, by kind: root, single (ordinary user, one uid), range (with subordinate uids), loopback."""
    known: dict[str, Person] = {}
    with ExitStack() as stack:

        def person(kind: str) -> Person:
            assert os.geteuid() == 0, "these tests change between users, which needs root"
            if kind not in known:
                uid = stack.enter_context(_user_with_ranges()) if kind == "range" else NOBODY
                known[kind] = {
                    "root": Person("root", 0, "root"),
                    "single": Person("single", uid, "user", single_uid=True),
                    "range": Person("range", uid, "user"),
                    "loopback": Person("loopback", uid, "loopback"),
                }[kind]
            return known[kind]

        yield person


@pytest.fixture(scope="session")
def machines(people: Callable[[str], Person]) -> Iterator[Callable[[str], Machine]]:
    """Running meshes by kind, started when first asked for."""
    started: dict[str, Machine] = {}

    def machine(kind: str) -> Machine:
        if kind not in started:
            started[kind] = make_machine(people(kind))
            started[kind].up()
        return started[kind]

    yield machine
    for one in started.values():
        remove_machine(one)


@pytest.fixture(params=_KINDS)
def mesh(request: pytest.FixtureRequest, machines: Callable[[str], Machine]) -> Machine:
    """A running mesh that other tests use too: take pods of your own."""
    return machines(request.param)


@pytest.fixture
def root_mesh(machines: Callable[[str], Machine]) -> Machine:
    """The running mesh of root, for what does not depend on the rung."""
    return machines("root")


@pytest.fixture
def fresh(people: Callable[[str], Person]) -> Iterator[Callable[[str], Machine]]:
    """Makes machines on which nothing runs yet, for tests that kill."""
    made: list[Machine] = []

    def machine(kind: str) -> Machine:
        made.append(make_machine(people(kind)))
        return made[-1]

    yield machine
    for one in made:
        remove_machine(one)
