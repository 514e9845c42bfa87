"""`pods/log`: what can be asked, and what is answered when it cannot be."""

import http.client
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshwright.processes.logtimes import Mark, times_file
from tests.apiserver.machine import HostPrograms, running_pod
from tests.apiserver.objects import Json, pods
from tests.apiserver.server import Client, Running, running

RUNNING: Json = {"state": {"running": {}}}
CRASHED: Json = {
    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    "lastState": {"terminated": {"exitCode": 1}},
    "restartCount": 1,
}
LATE: Json = {"state": {"waiting": {"reason": "NoImageEntry", "message": "add one"}}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("logs")
    log = folder / "log"
    log.write_bytes(b"old\nnew one\nnew two\n")
    times_file(log).write_bytes(Mark(0, 1000, start=True).packed() + Mark(4, 2000, start=True).packed())
    with running(folder, machine=HostPrograms(log)) as started:
        running_pod(started.admin, "default", "one")
        running_pod(started.admin, "default", "two", app=RUNNING, late=LATE, crashed=CRASHED)
        started.admin.must(
            started.admin.post(
                pods("default"),
                {"metadata": {"name": "fresh"}, "spec": {"containers": [{"name": "app", "image": "x"}]}},
            )
        )
        yield started


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("one/log", b"new one\nnew two\n"),
        ("one/log?tailLines=1&container=app", b"new two\n"),
        ("one/log?limitBytes=3", b"new"),
        ("two/log?container=crashed", b"new one\nnew two\n"),
        ("two/log?container=crashed&previous=true", b"new one\nnew two\n"),
        ("fresh/log", b""),
        ("one/log?sinceTime=2000-01-01T00:00:00Z", b""),
    ],
)
def test_the_output_of_a_container(server: Running, where: str, said: bytes) -> None:
    answer = server.admin.get(pods("default") + "/" + where)
    assert (answer.status, answer.text) == (200, said)
    assert answer.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("where", "status", "words"),
    [
        ("two/log", 400, "a container name must be specified for pod two, choose one of: [app late crashed]"),
        ("two/log?container=none", 400, "container none is not valid for pod two"),
        ("two/log?container=late", 400, 'container "late" in pod "two" is waiting to start: NoImageEntry: add one'),
        ("one/log?previous=true", 400, 'previous terminated container "app" in pod "one" not found'),
        ("none/log", 404, 'pods "none" not found'),
        ("one/log?tailLines=-1", 422, "tailLines: Invalid value: -1: must be greater than or equal to 0"),
        ("one/log?limitBytes=0", 422, "limitBytes: Invalid value: 0: must be greater than 0"),
        ("one/log?tailLines=x", 400, "is not a number"),
        ("one/log?sinceTime=yesterday", 400, "is not a time of RFC 3339"),
        ("one/log?sinceSeconds=1&sinceTime=2000-01-01T00:00:00Z", 422, "at most one of"),
        ("one/log?stream=Stderr", 422, "both streams are kept in one"),
        ("one/log?follow=maybe", 400, "neither true nor false"),
    ],
)
def test_what_cannot_be_shown_says_why(server: Running, where: str, status: int, words: str) -> None:
    answer = server.admin.get(pods("default") + "/" + where)
    assert (answer.status, answer.json["kind"]) == (status, "Status")
    assert words in answer.json["message"]


def test_only_get_and_only_with_the_right(server: Running) -> None:
    assert server.admin.post(pods("default", "one") + "/log", {}).status == 405
    assert server.reader.get(pods("default", "one") + "/log").status == 200
    assert server.reader.get(pods("kube-system", "one") + "/log").status == 403
    assert Client(server.port, "wrong", server.tls).get(pods("default", "one") + "/log").status == 401


def test_following_ends_with_the_pod(server: Running) -> None:
    running_pod(server.admin, "default", "followed")
    own = server.folder / "followed.log"
    own.write_bytes(b"old\nnew two\n")
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=server.tls, timeout=20)
    try:
        headers = {"Authorization": f"Bearer {server.token}"}
        connection.request("GET", pods("default", "followed") + "/log?follow=true&tailLines=1", headers=headers)
        response = connection.getresponse()
        assert response.readline() == b"new two\n"
        later = threading.Timer(0.1, _append, [own, b"more\n"])
        later.start()
        assert response.readline() == b"more\n"
        later.join()
        server.admin.ask("DELETE", pods("default", "followed") + "?gracePeriodSeconds=0")
        assert response.read() == b""
    finally:
        connection.close()


def _append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)
