"""Whatever changes of TLS modes come, whoever acknowledges when, and whenever the control plane is killed: no client
ever sends what its server may refuse, no server takes what neither the policies of before nor those on their way
allow, and in the end everything is as it is stored.

A proxy may run any publication from the one that it acknowledged last to the newest. So at every moment each client,
in each state that it may be in, is held against each server, in each state that it may be in. A control plane may be
killed after a change is stored and before it is read, or after it wrote down what it is about to publish and before
that is published.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshwright.agent.settings import Rung
from meshwright.asynctools.latest import Latest
from meshwright.envoyapi.envoy.config.cluster.v3.cluster_pb2 import Cluster
from meshwright.model.names import CLUSTER, ENDPOINTS, ProxyName, ResourceName
from meshwright.model.peer_authentication import MutualTlsMode
from meshwright.model.planned_pod import PodPhase, PodStatus
from meshwright.model.proxy import Interception
from meshwright.model.published import Published
from meshwright.node.progress import ProxyProgress
from meshwright.wiring.acknowledgements import Acknowledgements
from meshwright.wiring.kept_steps import KeptSteps
from meshwright.wiring.live_mesh import LiveMesh
from meshwright.wiring.loading import load
from meshwright.wiring.machine import Machine
from meshwright.wiring.tls_steps import StepState, TlsSteps
from tests.examples import examples

READY = PodStatus(PodPhase.RUNNING, ready=True, proxy_ready=True, containers=())
SERVERS = ("one", "two")  # a namespace with a server of the same name
NAMES = {place: ProxyName(f"{place}.{place}") for place in SERVERS}
ROOT = "istio-system"
WORKLOAD = """
apiVersion: v1
kind: Service
metadata: {{name: {place}, namespace: {place}}}
spec: {{selector: {{app: {place}}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: {place}, namespace: {place}, labels: {{app: {place}}}}}
spec: {{nodeName: here, containers: [{{name: main, image: x, ports: [{{containerPort: 8080}}]}}]}}
"""
POLICY = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: default, namespace: {place}}}
spec: {{mtls: {{mode: {mode}}}}}
"""
RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: default, namespace: {place}}}
spec: {{host: {place}.{place}.svc.cluster.local, trafficPolicy: {{tls: {{mode: {tls}}}}}}}
"""


@dataclass(frozen=True)
class Wanted:
    """What users want: modes by namespace (the root's too), and what rules say to the clients of each server."""

    modes: Mapping[str, str]
    tls: Mapping[str, str]

    def texts(self) -> list[tuple[str, str]]:
        found = [WORKLOAD.format(place=place) for place in SERVERS]
        found += [POLICY.format(place=place, mode=mode) for place, mode in self.modes.items() if mode]
        found += [RULE.format(place=place, tls=tls) for place, tls in self.tls.items() if tls]
        return [(str(number), text) for number, text in enumerate(found)]

    def mode(self, place: str) -> str:
        return self.modes[place] or self.modes[ROOT] or "PERMISSIVE"

    @property
    def works(self) -> bool:
        """Whether no rule says what its server refuses: that is a mistake, and done all the same."""
        wrong = {("STRICT", "DISABLE"), ("DISABLE", "ISTIO_MUTUAL")}
        return all((self.mode(place), self.tls[place]) not in wrong for place in SERVERS)


class KilledError(Exception):
    """The control plane has ended, just here."""


@dataclass
class World:
    """A control plane that may be killed, and proxies that acknowledge when they are told to; nobody is given up."""

    folder: Path
    wanted: Wanted
    moved: Latest[int] = field(default_factory=lambda: Latest(0))
    history: list[Published] = field(default_factory=list[Published])
    acknowledged: dict[ProxyName, int] = field(default_factory=dict[ProxyName, int])  # places in the history
    dying: bool = False  # with the next publication
    on_their_way: list[Wanted] = field(default_factory=list["Wanted"])  # and what was before

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Another control plane takes over. Publications of before have other numbers."""
        self.dying = False
        kept = KeptSteps(self.folder / "steps")

        def keep(state: StepState) -> None:
            kept.keep(state)
            if self.dying:
                raise KilledError

        machine = Machine(Rung.ROOT, Interception.UID, self.folder, ())
        self.mesh = LiveMesh(machine, TlsSteps(kept.read(0)), keep)
        self.first = len(self.history)
        self.mesh.update(load(self.wanted.texts()))
        self.mesh.ready(dict.fromkeys(NAMES.values(), READY))
        self.note()

    def progress(self) -> Mapping[ProxyName, ProxyProgress]:
        return {
            name: ProxyProgress(connected=True, change=self.history[at].change if at >= self.first else 0)
            for name, at in self.acknowledged.items()
        }

    def happen(self, event: "Event") -> None:
        """An event, and the steps that have ended by it."""
        if isinstance(event, Wanted | Unread):
            self.wanted = event if isinstance(event, Wanted) else event.wanted
            self.on_their_way.append(self.wanted)
        try:
            match event:
                case Wanted():
                    self.mesh.update(load(event.texts()))
                    self.note()
                case Unread() | Kill.NOW:
                    self.start()
                case Kill.PUBLISHING:
                    self.dying = True
                case _:
                    self.acknowledge(event)
            self.keep()
        except KilledError:
            self.start()
            self.keep()

    def acknowledge(self, name: ProxyName) -> None:
        self.acknowledged[name] = len(self.history) - 1

    def keep(self) -> None:
        """Take the steps that have ended, one publication after the other."""
        waits = Acknowledgements(self, self.mesh.published, 0.0)
        while ended := [each for each in self.mesh.open_steps if not waits.missing(each.since, each.names)]:
            self.mesh.take_steps(ended[:1])
            self.note()

    def note(self) -> None:
        self.history.append(self.mesh.published.value)
        if not self.mesh.open_steps:
            self.on_their_way = [self.wanted]
        self.check()
        for place, server in NAMES.items():
            allowed = set[bool]().union(*(takes(each.mode(place)) for each in self.on_their_way))
            assert takes(mode(self.history[-1], server)) <= allowed, (server, self.on_their_way)

    def check(self) -> None:
        for client, place in product(NAMES.values(), SERVERS):
            server = NAMES[place]
            sends = {encrypts(each, client, place) for each in self.history[self.acknowledged.get(client, -1) :]}
            modes = {mode(each, server) for each in self.history[self.acknowledged.get(server, -1) :]}
            for encrypted, taken in product(sends, modes):
                assert encrypted in takes(taken), (client, server, sends, modes)


def takes(mode: str) -> set[bool]:
    """Whether a server in this mode takes what is not encrypted, and what is."""
    return {MutualTlsMode.STRICT.value: {True}, MutualTlsMode.DISABLE.value: {False}}.get(mode, {False, True})


def mode(published: Published, server: ProxyName) -> MutualTlsMode:
    return published.proxies[server].inbound[0].mode


def encrypts(published: Published, client: ProxyName, place: str) -> bool:
    """Whether requests of a client to the server of a namespace come encrypted."""
    resources = published.resources_of(client)
    assert resources is not None
    name = ResourceName(f"outbound|80||{place}.{place}.svc.cluster.local")
    cluster = Cluster.FromString(resources[CLUSTER][name].value)
    if cluster.transport_socket_matches:
        return b"tlsMode" in resources[ENDPOINTS][name].value
    return cluster.HasField("transport_socket")


def wanted(modes: tuple[str, str, str], tls: tuple[str, str]) -> Wanted:
    return Wanted(dict(zip((ROOT, *SERVERS), modes, strict=True)), dict(zip(SERVERS, tls, strict=True)))


@dataclass(frozen=True)
class Unread:
    """What users want is stored, and the control plane is killed before it has read that."""

    wanted: Wanted


class Kill(Enum):
    """When the control plane is killed otherwise."""

    NOW = 1
    PUBLISHING = 2


Event = Wanted | Unread | Kill | ProxyName
MODES = st.sampled_from(["", "DISABLE", "PERMISSIVE", "STRICT"])
TLS = st.sampled_from(["", "", "DISABLE", "ISTIO_MUTUAL"])
WANTED = st.builds(wanted, st.tuples(MODES, MODES, MODES), st.tuples(TLS, TLS)).filter(lambda each: each.works)
CHANGES = (WANTED, st.sampled_from(list(NAMES.values())))
KILLS = (st.builds(Unread, WANTED), st.sampled_from(Kill))


def check_all(first: Wanted, events: list[Event]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), first)
        for name in NAMES.values():
            world.acknowledge(name)
        for event in events:
            world.happen(event)
        world.dying = False
        for _ in range(8):
            for name in NAMES.values():
                world.acknowledge(name)
            world.keep()
        assert world.mesh.open_steps == ()
        for place, server in NAMES.items():
            assert mode(world.mesh.published.value, server).value == world.wanted.mode(place)
        alone = LiveMesh(Machine(Rung.ROOT, Interception.UID, Path(folder) / "alone", ()))
        alone.update(load(world.wanted.texts()))
        alone.ready(dict.fromkeys(NAMES.values(), READY))
        for name in NAMES.values():
            assert as_bytes(world.mesh, name) == as_bytes(alone, name), "as a mesh that has always been so"


@pytest.mark.timeout(300)
@examples(30, 400)
@given(first=WANTED, events=st.lists(st.one_of(*CHANGES), max_size=14))
def test_no_client_sends_what_its_server_may_refuse(first: Wanted, events: list[Event]) -> None:
    check_all(first, events)


@pytest.mark.timeout(300)
@examples(30, 400)
@given(first=WANTED, events=st.lists(st.one_of(*CHANGES, *KILLS), max_size=14))
def test_nor_while_the_control_plane_is_killed(first: Wanted, events: list[Event]) -> None:
    check_all(first, events)


def as_bytes(mesh: LiveMesh, name: ProxyName) -> dict[object, bytes]:
    resources = mesh.published.value.resources_of(name)
    assert resources is not None
    return {(url, each.name): each.value for url, named in resources.items() for each in named.values()}
