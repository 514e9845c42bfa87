"""What the agent decides without asking anybody."""

import asyncio
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshwright.agent.admin import active_requests, client_connections
from meshwright.agent.back_off import Restarts
from meshwright.agent.expansion import expand
from meshwright.agent.http_client import HttpAnswer, HttpError, HttpRequest, exchange
from meshwright.agent.occurrences import Occurrences
from meshwright.agent.pod_memory import Memories, PodMemory
from meshwright.agent.pod_spec import AnnotationError, applications, pod_spec
from meshwright.agent.probes import ProbeCount
from meshwright.agent.replacement import fingerprint, steps
from meshwright.agent.settings import BackOff, Rung
from meshwright.model.names import Milliseconds, ProxyName
from meshwright.model.pod import Hook, Probe, ProbeType
from meshwright.model.proxy import Role
from meshwright.processes.interception import Interception
from tests.agent.mesh import origin, pod, settings, web


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(B)z", "x1y2z"),
        ("$(C)", "$(C)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$A $", "$A $"),
        ("$(A", "$(A"),
        ("", ""),
    ],
)
def test_expansion(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expanded


@given(st.text(alphabet="ab$()A "))
def test_text_without_variables_loses_only_doubled_dollars(text: str) -> None:
    assert len(expand(text, {})) <= len(text)
    if "$$" not in text:
        assert expand(text, {}) == text


def test_back_off_doubles_up_to_its_limit_and_starts_again_after_a_long_run() -> None:
    rule = BackOff(Milliseconds(1000), Milliseconds(60_000), Milliseconds(600_000))
    restarts, waits = Restarts(), list[int]()
    for _ in range(9):
        restarts, wait = restarts.after_exit(Milliseconds(10), rule)
        waits.append(wait)
    assert waits == [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]
    restarts, wait = restarts.after_exit(Milliseconds(600_000), rule)
    assert (restarts.count, wait) == (10, 1000)


@given(st.lists(st.booleans()), st.integers(1, 4), st.integers(1, 4))
def test_a_probe_changes_its_mind_only_after_as_many_answers_in_a_row(
    answers: list[bool], success: int, failure: int
) -> None:
    probe = Probe(ProbeType.TCP, 1, success_threshold=success, failure_threshold=failure)
    count = ProbeCount(passing=False)
    for number, answer in enumerate(answers, start=1):
        before, count = count, count.after(success=answer, probe=probe)
        needed = success if count.passing else failure
        if count.passing != before.passing:
            assert answers[number - needed : number] == [count.passing] * needed
        elif answer != count.passing and number >= (other := failure if count.passing else success):
            assert answers[number - other : number] != [answer] * other or before.streak < other


def test_what_happens_again_and_again_is_said_every_ten_seconds_and_counted_each_time() -> None:
    now = [1_000_000]
    occurrences = Occurrences(lambda: Milliseconds(now[0]))
    said: list[int] = []
    for second in range(60):
        now[0] = 1_000_000 + second * 1000
        if occurrences.add("Unhealthy", "readiness", f"number {second}" + "x" * 1000):
            said += [each.count for each in occurrences.take()]
    assert said == [1, 11, 21, 31, 41, 51]
    assert occurrences.add("Unhealthy", "liveness", "another one")
    readiness, liveness = occurrences.take()
    assert (readiness.count, readiness.first, readiness.last) == (60, 1_000_000, 1_059_000)
    assert (readiness.message[:10], len(readiness.message), liveness.count) == ("number 59x", 300, 1)
    now[0] = 0
    assert occurrences.add("Unhealthy", "liveness", "the clock was set back")


def test_only_what_needs_a_restart_changes_the_fingerprint() -> None:
    one = pod("a", 2)
    assert fingerprint(pod("a", 2, labels={"x": "y"})) == fingerprint(one)
    assert fingerprint(pod("a", 2, annotations={"example.com/x": "y"})) == fingerprint(one)
    elsewhere = replace(one.template.containers[0], origin=origin("elsewhere"))
    moved = replace(one, template=replace(one.template, containers=(elsewhere,)))
    assert moved != one
    assert fingerprint(moved) == fingerprint(one), "its place in the object has changed, as it does beside a sidecar"
    others = (
        pod("a", 3),
        pod("a", 2, web(args=("x",))),
        pod("a", 2, role=None),
        pod("a", 2, annotations={"traffic.sidecar.istio.io/excludeInboundPorts": "1"}),
    )
    assert fingerprint(one) not in {fingerprint(other) for other in others}
    hooks = [pod("a", 2, web(post_start=Hook())), pod("a", 2, web(pre_stop=Hook())), one]
    assert len({fingerprint(each) for each in hooks}) == len(hooks)


def test_which_pods_start_stay_and_leave() -> None:
    old, new = pod("w-1", 2, owner="w"), pod("w-2", 3, web(args=("new",)), owner="w")
    twin = pod("w-3", 4, owner="w")
    running = {old.name: old}
    assert steps([old], {}, ()).start == (old,)
    assert steps([], running, [old.name]).stop == (old.name,)
    assert steps([new], running, [old.name]).stop == ()
    assert steps([new], running, []).stop == (old.name,), "one that does not serve holds nothing up"
    assert steps([new], {**running, new.name: new}, [old.name, new.name]).stop == (old.name,)
    assert steps([twin], running, [old.name]).stop == (old.name,), "fewer replicas of the same template"
    taken = replace(new, address=old.address)
    assert steps([taken], running, [old.name]).stop == (old.name,), "it needs the address"
    changed = pod("w-1", 2, web(args=("new",)), owner="w")
    assert steps([changed], running, [old.name]).stop == (old.name,)
    renamed = pod("w-1", 2, owner="w", labels={"x": "y"})
    assert steps([renamed], running, [old.name]).update == (renamed,)


def test_annotations_become_interception(tmp_path: Path) -> None:
    made = settings(tmp_path, Rung.ROOT)
    prefix = "traffic.sidecar.istio.io/"
    given_ = {
        f"{prefix}includeOutboundIPRanges": "10.0.0.0/8, 192.168.0.0/16",
        f"{prefix}excludeOutboundIPRanges": "10.1.0.0/16",
        f"{prefix}includeOutboundPorts": "80",
        f"{prefix}excludeOutboundPorts": "3306,5432",
        f"{prefix}includeInboundPorts": "",
    }
    assert pod_spec(pod("a", 2, annotations=given_), made).interception == Interception(
        ("10.0.0.0/8", "192.168.0.0/16"), ("10.1.0.0/16",), (80,), (3306, 5432), (), ()
    )
    assert pod_spec(pod("a", 2), made).interception == Interception()
    assert pod_spec(pod("a", 2, annotations={"sidecar.istio.io/interceptionMode": "NONE"}), made).interception is None
    assert pod_spec(pod("a", 2, role=Role.ROUTER), made).interception is None
    assert pod_spec(pod("a", 2), settings(tmp_path, Rung.LOOPBACK)).interception is None
    with pytest.raises(AnnotationError, match="excludeInboundPorts: 'x'"):
        pod_spec(pod("a", 2, annotations={f"{prefix}excludeInboundPorts": "1,x"}), made)


def test_the_proxy_is_no_application() -> None:
    injected = pod("a", 2, web(), web("istio-proxy"))
    assert [container.name for container in applications(injected)] == ["app"]
    assert len(applications(replace(injected, role=None))) == 2


def test_active_requests_are_those_of_users() -> None:
    text = (
        "xds-grpc::/run/meshwright/xds.sock::rq_active::1\n"
        "prometheus_stats::/run/meshwright/admin.sock::rq_active::1\n"
        "inbound|9080||::10.244.0.2:9080::rq_active::2\n"
        "inbound|9080||::10.244.0.2:9080::rq_total::9\n"
        "InboundPassthroughCluster::10.244.0.2:81::rq_active::1\n"
        "outbound|9080||reviews.default.svc.cluster.local::10.244.0.3:9080::rq_active::4\n"
    )
    assert active_requests(text, inbound_only=True) == 3
    assert active_requests(text, inbound_only=False) == 7


def test_memories_survive_and_damage_is_no_memory(tmp_path: Path) -> None:
    memories, name = Memories(tmp_path / "agent"), ProxyName("a.demo")
    assert memories.read(name) is None
    memory = PodMemory("f", ready=True, started=Milliseconds(7))
    memories.write(name, memory)
    assert memories.read(name) == memory
    assert memories.names() == {name}
    (tmp_path / "agent" / "a.demo.json").write_text('{"fingerprint": 1')
    assert memories.read(name) is None
    memories.forget(name)
    memories.forget(name)


async def answer_to(raw: bytes) -> HttpAnswer:
    ours, theirs = socket.socketpair()
    ours.settimeout(0)
    theirs.sendall(raw)
    theirs.shutdown(socket.SHUT_WR)
    with theirs:
        return await exchange(ours, HttpRequest("/", (("Host", "x"),)))


@pytest.mark.parametrize(
    ("raw", "status", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokmore", 200, b"ok"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n1\r\n!\r\n0\r\n\r\n", 200, b"ok!"),
        (b"HTTP/1.0 404\r\n\r\nuntil the end", 404, b"until the end"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    ],
)
def test_answers_are_read(raw: bytes, status: int, body: bytes) -> None:
    answer = asyncio.run(answer_to(raw))
    assert (answer.status, answer.body) == (status, body)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000,
    ],
)
def test_what_is_no_answer_is_an_error(raw: bytes) -> None:
    with pytest.raises(HttpError):
        asyncio.run(answer_to(raw))


def test_open_connections_are_those_of_clients() -> None:
    text = """listener./run/meshwright/ingress/8080.sock.downstream_cx_active: 2
listener./run/meshwright/ingress/8080.sock.worker_0.downstream_cx_active: 2
listener.0.0.0.0_15006.downstream_cx_active: 3
listener.0.0.0.0_15006.worker_0.downstream_cx_active: 3
listener.0.0.0.0_8443.downstream_cx_active: 4
listener.127.66.0.3_15001.downstream_cx_active: 50
listener.0.0.0.0_15021.downstream_cx_active: 60
listener.0.0.0.0_15090.downstream_cx_active: 70
listener.admin.downstream_cx_active: 1
listener.admin.main_thread.downstream_cx_active: 1
"""
    assert client_connections(text) == 9
    assert client_connections("") == 0
