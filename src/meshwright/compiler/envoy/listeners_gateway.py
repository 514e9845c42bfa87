"""The merged servers of a gateway become listeners: one per port, with a twin on a unix socket for the host."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from meshwright.compiler.built import Built
from meshwright.compiler.chain import Direction
from meshwright.compiler.envoy import server_tls
from meshwright.compiler.envoy.access_log import listener_logs
from meshwright.compiler.envoy.listener_filters import proxy_protocol, tls_inspector
from meshwright.compiler.envoy.network_filters import http_manager
from meshwright.compiler.envoy.streams import Rules, Stream, chain, rule_streams
from meshwright.compiler.names import outbound_listener
from meshwright.compiler.proto import address, serialised, uint
from meshwright.compiler.visibility.outbound_ports import WILDCARD
from meshwright.compiler.visibility.servers import BoundServer, PortServers, Transport
from meshwright.compiler.visibility.view import View
from meshwright.envoyapi.envoy.config.core.v3.address_pb2 import Pipe
from meshwright.envoyapi.envoy.config.core.v3.base_pb2 import TrafficDirection
from meshwright.envoyapi.envoy.config.listener.v3.listener_components_pb2 import FilterChain, FilterChainMatch
from meshwright.envoyapi.envoy.config.listener.v3.listener_pb2 import Listener
from meshwright.model import codes
from meshwright.model.config import SecretRef, SecretUse
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.gateway import ServerTlsMode
from meshwright.model.hosts import common
from meshwright.model.names import LISTENER, ElementPath, ResourceName
from meshwright.model.origin import Origin
from meshwright.model.virtual_service import VirtualService

SOCKET_MODE = 0o666  # the directory says who may come


@dataclass(frozen=True, slots=True)
class _Chains:
    """The chains of one server, and what was wrong with it."""

    chains: tuple[tuple[FilterChain, Origin], ...] = ()
    findings: tuple[Diagnostic, ...] = ()
    secrets: tuple[ResourceName, ...] = ()


def gateway_listeners(view: View, merged: Iterable[PortServers]) -> tuple[Built, ...]:
    """All listeners of a gateway class. A server without usable credential is not served at all."""
    return tuple(built for port in merged for built in _port_listeners(view, port))


def _port_listeners(view: View, port: PortServers) -> Iterator[Built]:
    bind = port.bind or view.proxy_class.address or WILDCARD
    name = outbound_listener(bind, port.port)
    parts = _port_chains(view, port, name)
    chains, lost = _distinct((made for part in parts for made in part.chains), str(port.port))
    findings = (*(finding for part in parts for finding in part.findings), *lost)
    if not chains:
        if findings:  # nothing is left to serve, but its owner has to know why
            yield Built(LISTENER, name, Listener(), findings=findings)
        return
    listener = Listener(
        name=name,
        address=address(bind, port.port),
        traffic_direction=TrafficDirection.OUTBOUND,
        filter_chains=[made for made, _ in chains],
        access_log=listener_logs(view.settings),
        max_connections_to_accept_per_socket_event=uint(1),
    )
    if port.transport is Transport.TLS:
        listener.listener_filters.append(tls_inspector())
        listener.listener_filters_timeout.SetInParent()
    origins = tuple((ElementPath(f"filter_chains[{index}]"), origin) for index, (_, origin) in enumerate(chains))
    names = tuple(dict.fromkeys(name for part in parts for name in part.secrets))
    yield Built(LISTENER, name, listener, origins, findings=findings, secrets=names)
    if view.proxy_class.ingress_sockets:
        yield _twin(listener, name, f"{view.proxy_class.ingress_sockets}/{port.port}.sock", origins)


def _distinct(
    chains: Iterable[tuple[FilterChain, Origin]], port: str
) -> tuple[list[tuple[FilterChain, Origin]], tuple[Diagnostic, ...]]:
    """Chains that take the same connections make Envoy refuse the listener: the first one stands."""
    found: dict[bytes, tuple[FilterChain, Origin]] = {}
    lost: list[Diagnostic] = []
    for made, origin in chains:
        match = made.filter_chain_match
        first, older = found.setdefault(serialised(match), (made, origin))
        if first is not made:
            names = ", ".join(match.server_names) or "every host"
            lost.append(Diagnostic(codes.SNI_TAKEN, origin, (names, port, str(older.object))))
    return list(found.values()), tuple(lost)


def _twin(listener: Listener, name: str, path: str, origins: tuple[tuple[ElementPath, Origin], ...]) -> Built:
    twin = Listener()
    twin.CopyFrom(listener)
    twin.name = f"{name}.sock"
    twin.address.pipe.CopyFrom(Pipe(path=path, mode=SOCKET_MODE))
    # Nobody but the host's forwarder connects here, and it says who the client is before anything else.
    del twin.listener_filters[:]
    twin.listener_filters.extend((proxy_protocol(), *listener.listener_filters))
    return Built(LISTENER, ResourceName(twin.name), twin, origins)


def _port_chains(view: View, port: PortServers, name: str) -> list[_Chains]:
    if port.transport is Transport.HTTP:
        first = port.servers[0]
        assert first.routes is not None
        manager = http_manager(Direction.GATEWAY, f"outbound_{name};", first.routes, view.settings)
        return [_Chains(((FilterChain(filters=[manager]), first.server.origin),))]
    if port.transport is Transport.TCP:
        return [_streams(view, bound) for bound in port.servers]
    return [_tls(view, bound, name) for bound in port.servers]


def _tls(view: View, bound: BoundServer, name: str) -> _Chains:
    if not bound.terminates:
        return _streams(view, bound)
    missing = _missing_credential(bound, view.secrets)
    if missing is not None:
        return _Chains(findings=(missing,))
    tls = bound.server.tls
    assert tls is not None
    if bound.routes is None:
        inner = _streams(view, bound)
        made = inner.chains[:1]  # once TLS has ended, nothing tells the connections apart
    else:
        stat = f"outbound_{bound.server.name or name};"
        manager = http_manager(Direction.GATEWAY, stat, bound.routes, view.settings)
        inner = _Chains()
        made = ((FilterChain(filters=[manager]), bound.server.origin),)
    for one, _ in made:
        one.filter_chain_match.CopyFrom(FilterChainMatch(server_names=server_names(bound), transport_protocol="tls"))
        one.transport_socket.CopyFrom(server_tls.socket(tls, view.settings, http=bound.routes is not None))
    return _Chains(made, inner.findings, server_tls.secrets(tls) if made else ())


def server_names(bound: BoundServer) -> tuple[str, ...]:
    """The SNI conditions of a server: none when it takes every host."""
    hosts = tuple(dict.fromkeys(host.host for host in bound.server.hosts))
    return () if "*" in hosts else hosts


def _missing_credential(bound: BoundServer, secrets: Mapping[str, SecretRef]) -> Diagnostic | None:
    """A server whose certificate (or client CA) is not there: it would wait for it for ever."""
    tls = bound.server.tls
    assert tls is not None
    if tls.mode is ServerTlsMode.ISTIO_MUTUAL or not tls.credential_name:
        return None
    at = bound.server.origin.field("tls").field("credentialName")
    name = tls.credential_name
    fix = f"kubectl create secret tls {name} --cert=FILE --key=FILE"
    found = secrets.get(name)
    if found is None:
        return Diagnostic(codes.NO_CREDENTIAL, at, (name, "it does not exist", fix))
    if found.use is not SecretUse.TLS:
        return Diagnostic(codes.NO_CREDENTIAL, at, (name, "it has no certificate and key", fix))
    if found.problem:
        return Diagnostic(codes.NO_CREDENTIAL, at, (name, found.problem, fix))
    authority = secrets.get(f"{name}-cacert")
    if authority is not None and authority.problem:
        return Diagnostic(codes.NO_CREDENTIAL, at, (authority.meta.name, authority.problem, "write a CA into ca.crt"))
    if tls.mode is ServerTlsMode.MUTUAL and not found.has_ca and authority is None:
        return Diagnostic(codes.NO_CREDENTIAL, at, (name, "it has no ca.crt to check clients by", "add ca.crt"))
    return None


def _streams(view: View, bound: BoundServer) -> _Chains:
    """Connections of a server, by the tls or tcp rules of the VirtualServices that are bound to its Gateway."""
    meta = bound.gateway.meta
    rules = Rules(view.proxy_class, frozenset({f"{meta.namespace}/{meta.name}"}), view.services)
    passes = bound.server.protocol.is_tls and not bound.terminates
    found: list[Stream] = []
    findings: list[Diagnostic] = []
    for rule in view.virtual_services:
        if _serves(bound, rule):
            stream_rules = rule.tls if passes else rule.tcp
            routed = rule_streams(rule, stream_rules, bound.server.port, rules)
            found += routed.streams
            findings += routed.findings
    return _Chains(tuple((chain(stream, view.settings), stream.origin) for stream in found), tuple(findings))


def _serves(bound: BoundServer, rule: VirtualService) -> bool:
    return any(
        host.namespace in ("*", rule.meta.namespace)
        and any(common(host.host, name) is not None for name in rule.hosts)
        for host in bound.server.hosts
    )
