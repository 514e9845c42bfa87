"""Which listener of a proxy takes a connection, and which of its filter chains."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import TypeVar

from meshwright.envoyapi.envoy.config.listener.v3.listener_components_pb2 import (
    FilterChain,
    ListenerFilter,
    ListenerFilterChainMatchPredicate,
)
from meshwright.envoyapi.envoy.config.listener.v3.listener_pb2 import Listener
from meshwright.evaluator.configuration import Configuration

ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - only compared
TLS_INSPECTOR = "envoy.filters.listener.tls_inspector"
HTTP_INSPECTOR = "envoy.filters.listener.http_inspector"
RAW = "raw_buffer"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Connection:
    """What listener filters could see of a connection. `alpn` is what a TLS client offers, or the HTTP version that
    plain bytes show; `server_name` is the SNI.
    """

    address: str
    port: int
    is_tls: bool = False
    server_name: str = ""
    alpn: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chosen:
    """A filter chain and its place in the listener; `chain` None: nothing takes the connection, it is closed."""

    listener: Listener
    chain: FilterChain | None
    place: str = ""


def redirected(configuration: Configuration, connection: Connection) -> Listener | None:
    """The listener for a connection that was redirected to the sidecar: that of its destination's address and port,
    else of the port alone, else the one that takes all.
    """
    listeners = configuration.listeners()
    return (
        _at(listeners, connection.address, connection.port)
        or _at(listeners, ANY_ADDRESS, connection.port, bound=False)
        or next((each for each in listeners if each.use_original_dst.value), None)
    )


def bound(configuration: Configuration, address: str, port: int) -> Listener | None:
    """The listener that has this port itself, as gateways' have."""
    listeners = configuration.listeners()
    return _at(listeners, address, port, bound=True) or _at(listeners, ANY_ADDRESS, port, bound=True)


def named(configuration: Configuration, name: str) -> Listener | None:
    """A listener by its name."""
    return next((each for each in configuration.listeners() if each.name == name), None)


def _at(listeners: Iterable[Listener], address: str, port: int, *, bound: bool | None = None) -> Listener | None:
    for each in listeners:
        place = each.address.socket_address
        is_bound = not each.HasField("bind_to_port") or each.bind_to_port.value
        if (place.address, place.port_value) == (address, port) and bound in (None, is_bound):
            return each
    return None


def choose(listener: Listener, connection: Connection) -> Chosen:
    """The filter chain: criteria are tried one after the other, each time what is most specific is followed, and
    Envoy never goes back to try the next best.
    """
    seen = _inspected(listener, connection)
    chains = list(enumerate(listener.filter_chains))
    chains = _by_port(chains, seen.port)
    for narrow in (_by_subnet, _by_server_name, _by_transport, _by_alpn):
        chains = narrow(chains, seen)
    if chains:
        index, chain = chains[0]
        return Chosen(listener, chain, f"filter_chains[{index}]")
    if listener.HasField("default_filter_chain"):
        return Chosen(listener, listener.default_filter_chain, "default_filter_chain")
    return Chosen(listener, None)


def _inspected(listener: Listener, connection: Connection) -> Connection:
    """What this listener's filters find out; without them nothing is known but the address."""
    names = {each.name for each in listener.listener_filters if not _is_off(each, connection.port)}
    if connection.is_tls:
        if TLS_INSPECTOR in names:
            return connection
        return Connection(connection.address, connection.port)
    alpn = connection.alpn if HTTP_INSPECTOR in names else ()
    return Connection(connection.address, connection.port, alpn=alpn)


def _is_off(inspector: ListenerFilter, port: int) -> bool:
    """Whether a listener filter does not look at connections to this port."""
    return inspector.HasField("filter_disabled") and _holds(inspector.filter_disabled, port)


def _holds(rule: ListenerFilterChainMatchPredicate, port: int) -> bool:
    match rule.WhichOneof("rule"):
        case "destination_port_range":
            return rule.destination_port_range.start <= port < rule.destination_port_range.end
        case "or_match":
            return any(_holds(each, port) for each in rule.or_match.rules)
        case "and_match":
            return all(_holds(each, port) for each in rule.and_match.rules)
        case "not_match":
            return not _holds(rule.not_match, port)
        case _:
            return True


Chains = list[tuple[int, FilterChain]]


def _by_port(chains: Chains, port: int) -> Chains:
    exact = [each for each in chains if each[1].filter_chain_match.destination_port.value == port]
    return exact or [each for each in chains if not each[1].filter_chain_match.HasField("destination_port")]


def _by_subnet(chains: Chains, seen: Connection) -> Chains:
    def best(chain: FilterChain) -> int | None:
        ranges = chain.filter_chain_match.prefix_ranges
        if not ranges:
            return 0
        if not seen.address:
            return None
        inside = [
            each.prefix_len.value
            for each in ranges
            if ip_address(seen.address) in ip_network(f"{each.address_prefix}/{each.prefix_len.value}", strict=False)
        ]
        return max(inside, default=None)

    return _most_specific(chains, best)


def _by_server_name(chains: Chains, seen: Connection) -> Chains:
    name = seen.server_name.lower()

    def best(chain: FilterChain) -> int | None:
        names = chain.filter_chain_match.server_names
        if not names:
            return 0
        if name in names:
            return len(name) + 1
        suffixes = [len(each) for each in names if each.startswith("*.") and name.endswith(each[1:])]
        return max(suffixes, default=None)

    return _most_specific(chains, best)


def _by_transport(chains: Chains, seen: Connection) -> Chains:
    transport = "tls" if seen.is_tls else RAW
    exact = [each for each in chains if each[1].filter_chain_match.transport_protocol == transport]
    return exact or [each for each in chains if not each[1].filter_chain_match.transport_protocol]


def _by_alpn(chains: Chains, seen: Connection) -> Chains:
    for protocol in seen.alpn:
        found = [each for each in chains if protocol in each[1].filter_chain_match.application_protocols]
        if found:
            return found
    return [each for each in chains if not each[1].filter_chain_match.application_protocols]


def _most_specific(chains: Chains, rank: Callable[[FilterChain], int | None]) -> Chains:
    """Those of the highest rank; None is none at all."""
    ranked: Sequence[tuple[int | None, tuple[int, FilterChain]]] = [(rank(each[1]), each) for each in chains]
    highest = max((found for found, _ in ranked if found is not None), default=None)
    return [each for found, each in ranked if found is not None and found == highest]
