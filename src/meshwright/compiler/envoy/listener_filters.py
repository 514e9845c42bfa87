"""Filters that look at a connection before its filter chain is chosen."""

from collections.abc import Iterable

from meshwright.compiler.proto import pack, uint
from meshwright.envoyapi.envoy.config.listener.v3.listener_components_pb2 import (
    ListenerFilter,
    ListenerFilterChainMatchPredicate,
)
from meshwright.envoyapi.envoy.extensions.filters.listener.http_inspector.v3.http_inspector_pb2 import HttpInspector
from meshwright.envoyapi.envoy.extensions.filters.listener.original_dst.v3.original_dst_pb2 import OriginalDst
from meshwright.envoyapi.envoy.extensions.filters.listener.proxy_protocol.v3.proxy_protocol_pb2 import ProxyProtocol
from meshwright.envoyapi.envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2 import TlsInspector
from meshwright.envoyapi.envoy.type.v3.range_pb2 import Int32Range
from meshwright.model.names import PortNumber

FIRST_READ = 512  # bytes that are read before it is known whether a ClientHello comes


def original_destination() -> ListenerFilter:
    """Ask the kernel where the connection was going before it was redirected."""
    return ListenerFilter(name="envoy.filters.listener.original_dst", typed_config=pack(OriginalDst()))


def proxy_protocol() -> ListenerFilter:
    """Learn the client's address from the header that stands before its bytes; without one there is no service."""
    return ListenerFilter(name="envoy.filters.listener.proxy_protocol", typed_config=pack(ProxyProtocol()))


def tls_inspector(but_ports: Iterable[PortNumber] = ()) -> ListenerFilter:
    """Recognise TLS, server name and ALPN, except on `but_ports`."""
    made = ListenerFilter(
        name="envoy.filters.listener.tls_inspector",
        typed_config=pack(TlsInspector(initial_read_buffer_size=uint(FIRST_READ))),
    )
    _disable(made, but_ports)
    return made


def http_inspector(but_ports: Iterable[PortNumber] = ()) -> ListenerFilter:
    """Recognise plain HTTP/1.1 and HTTP/2, except on `but_ports`."""
    made = ListenerFilter(name="envoy.filters.listener.http_inspector", typed_config=pack(HttpInspector()))
    _disable(made, but_ports)
    return made


def _disable(made: ListenerFilter, ports: Iterable[PortNumber]) -> None:
    predicates = [
        ListenerFilterChainMatchPredicate(destination_port_range=Int32Range(start=port, end=port + 1))
        for port in ports
    ]
    if len(predicates) == 1:
        made.filter_disabled.CopyFrom(predicates[0])
    elif predicates:
        made.filter_disabled.or_match.rules.extend(predicates)
