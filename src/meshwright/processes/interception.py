"""The nftables rules of a pod: which connections go through its Envoy.

Out: everything TCP the application opens goes to port 15001, but what Envoy itself sends does not (told apart by
uid 1337 or by mark 1337), nor what stays inside the pod. In: everything TCP from outside goes to port 15006.
The parameters carry the meaning of Istio's annotations traffic.sidecar.istio.io/*.
"""

from dataclasses import dataclass

from meshwright.processes.identities import PROXY_MARK, PROXY_UID, Exclusion

OUTBOUND_PORT = 15001
INBOUND_PORT = 15006
# Envoy reaches its own application from this address; such a connection must never be redirected again.
PASSTHROUGH_SOURCE = "127.0.0.6"
# Ports of the proxy itself: HBONE, merged metrics, readiness, Envoy's metrics.
OWN_PORTS = (15008, 15020, 15021, 15090)
EVERYTHING = ("*",)


@dataclass(frozen=True, slots=True)
class Interception:
    """What a pod's rules redirect; ranges in CIDR notation, `("*",)` means all, an empty tuple none."""

    include_outbound_ranges: tuple[str, ...] = EVERYTHING
    exclude_outbound_ranges: tuple[str, ...] = ()
    include_outbound_ports: tuple[int, ...] = ()
    exclude_outbound_ports: tuple[int, ...] = ()
    include_inbound_ports: tuple[int | str, ...] = EVERYTHING
    exclude_inbound_ports: tuple[int, ...] = ()


def _set(values: tuple[object, ...]) -> str:
    return "{ " + ", ".join(str(value) for value in values) + " }"


def _outbound(rules: Interception, proxy: str, nameserver: str) -> list[str]:
    lines = [
        # First of all, or Envoy's connection to its own application would come back to Envoy for ever.
        f'oifname "lo" ip saddr {PASSTHROUGH_SOURCE} accept',
        # Envoy calling an address of its own pod (a service with this very endpoint): through the inbound side.
        f'{proxy} oifname "lo" ip daddr != 127.0.0.0/8 tcp dport != 15008 redirect to :{INBOUND_PORT}',
        f"{proxy} accept",
    ]
    if nameserver:
        lines += [
            f"ip daddr {nameserver} meta l4proto {{ tcp, udp }} th dport 53 accept",
            f'oifname != "lo" meta l4proto {{ tcp, udp }} th dport 53 dnat ip to {nameserver}:53',
        ]
    if rules.exclude_outbound_ports:
        lines.append(f"tcp dport {_set(rules.exclude_outbound_ports)} accept")
    lines += ['oifname "lo" accept', "ip daddr 127.0.0.0/8 accept"]
    if rules.exclude_outbound_ranges:
        lines.append(f"ip daddr {_set(rules.exclude_outbound_ranges)} accept")
    if rules.include_outbound_ports:
        lines.append(f"tcp dport {_set(rules.include_outbound_ports)} redirect to :{OUTBOUND_PORT}")
    if "*" in rules.include_outbound_ranges:
        lines.append(f"meta l4proto tcp redirect to :{OUTBOUND_PORT}")
    elif rules.include_outbound_ranges:
        lines.append(f"ip daddr {_set(rules.include_outbound_ranges)} meta l4proto tcp redirect to :{OUTBOUND_PORT}")
    return lines


def _inbound(rules: Interception) -> list[str]:
    lines = ['iifname "lo" accept', f"tcp dport {_set(OWN_PORTS)} accept"]
    if "*" in rules.include_inbound_ports:
        if rules.exclude_inbound_ports:
            lines.append(f"tcp dport {_set(rules.exclude_inbound_ports)} accept")
        lines.append(f"meta l4proto tcp redirect to :{INBOUND_PORT}")
    elif rules.include_inbound_ports:
        lines.append(f"tcp dport {_set(rules.include_inbound_ports)} redirect to :{INBOUND_PORT}")
    return lines


def _chain(name: str, hook: str, lines: list[str]) -> str:
    body = "".join(f"    {line}\n" for line in lines)
    return f"  chain {name} {{\n    type nat hook {hook} priority -100; policy accept;\n{body}  }}\n"


def ruleset(rules: Interception, exclusion: Exclusion, nameserver: str) -> str:
    """Text for `nft -f` inside a pod's network namespace; `nameserver` may be empty (DNS is then left alone)."""
    proxy = f"meta skuid {PROXY_UID}" if exclusion == "uid" else f"meta mark {PROXY_MARK}"
    chains = _chain("out", "output", _outbound(rules, proxy, nameserver)) + _chain(
        "in", "prerouting", _inbound(rules)
    )
    return f"table inet meshwright {{\n{chains}}}\n"
