"""The nftables rules behind services for pods without interception: what kube-proxy does on a Kubernetes node.

A pod without an Envoy sends what is meant for a service's address to the sandbox's own network namespace. There each
new connection gets one of the ready endpoints by chance, which sees the pod's own address. Only two sorts get the
bridge's address as their source, for their answers would not come back this way: from one pod on the bridge to
another (they share one link; a pod with a proxy whose interception lets something pass), and from a pod to itself.
"""

import ipaddress
from collections.abc import Mapping

from meshwright.processes.messages import BadRequest, Fields
from meshwright.processes.network import BRIDGE

TABLE = "meshwright_services"

Services = Mapping[str, tuple[str, ...]]


def decode(fields: Fields) -> dict[str, tuple[str, ...]]:
    """The table of a request: "address:port" of a service to those of its ready endpoints. BadRequest otherwise."""
    table = fields.object("services")
    return {_checked(key): tuple(map(_checked, table.texts(key))) for key in table.values}


def _checked(text: str) -> str:
    """An IPv4 address and port in the one form that is written into rules."""
    address, _, port = text.rpartition(":")
    try:
        parsed = ipaddress.IPv4Address(address)
    except ValueError:
        raise BadRequest(f"{text[:80]!r} is not an IPv4 address with a port") from None
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65_536):
        raise BadRequest(f"{text[:80]!r} has no port from 1 to 65535")
    return f"{parsed}:{int(port)}"


def ruleset(services: Services) -> str:
    """Text for `nft -f` that replaces the whole table in one step; connections that are open stay as they are.

    A port without endpoints, or one that the service does not have, is refused at once.
    """
    replace = f"table ip {TABLE}\ndelete table ip {TABLE}\n"
    if not services:
        return replace
    served = {key: endpoints for key, endpoints in sorted(services.items()) if endpoints}
    chains = [_endpoints(f"s{number}", endpoints) for number, endpoints in enumerate(served.values())]
    chains += [
        _chain("refuse", "type filter hook prerouting priority -110; policy accept;", _refusals(services, served)),
        _chain("choose", "type nat hook prerouting priority -100; policy accept;", _choices(served)),
        _chain("answer", "type nat hook postrouting priority 100; policy accept;", *_hidden(served)),
    ]
    return f"{replace}table ip {TABLE} {{\n{''.join(chains)}}}\n"


def _hidden(served: Services) -> tuple[str, str]:
    """The rules for connections whose answers would go past this namespace."""
    addresses = sorted({endpoint.partition(":")[0] for endpoints in served.values() for endpoint in endpoints})
    pairs = ", ".join(f"{address} . {address}" for address in addresses)
    same_link = f'ct status dnat iifname "{BRIDGE}" oifname "{BRIDGE}" masquerade'
    return same_link, f"ct status dnat ip saddr . ip daddr {{ {pairs} }} masquerade" if pairs else ""


def _chain(name: str, *lines: str) -> str:
    body = "".join(f"    {line}\n" for line in lines if line)
    return f"  chain {name} {{\n{body}  }}\n"


def _pair(text: str) -> str:
    """address:port as the concatenation that sets and maps hold."""
    return text.replace(":", " . ")


def _endpoints(name: str, endpoints: tuple[str, ...]) -> str:
    if len(endpoints) == 1:
        return _chain(name, f"meta l4proto tcp dnat ip to {endpoints[0]}")
    elements = ", ".join(f"{number} : {_pair(endpoint)}" for number, endpoint in enumerate(endpoints))
    chosen = f"numgen random mod {len(endpoints)} map {{ {elements} }}"
    return _chain(name, f"meta l4proto tcp dnat ip addr . port to {chosen}")


def _choices(served: Services) -> str:
    elements = ", ".join(f"{_pair(key)} : goto s{number}" for number, key in enumerate(served))
    return f"ip daddr . tcp dport vmap {{ {elements} }}" if elements else ""


def _refusals(services: Services, served: Services) -> str:
    addresses = ", ".join(sorted({key.partition(":")[0] for key in services}))
    keys = ", ".join(_pair(key) for key in served)
    but = f"ip daddr . tcp dport != {{ {keys} }}" if keys else ""
    return f"ct state new ip daddr {{ {addresses} }} meta l4proto tcp {but} reject with tcp reset"
