"""The sandbox's network as text for `ip -batch`: one bridge, a namespace with one veth pair for every pod.

The virtual addresses of services need no routes: a pod's default route makes the kernel accept them, and the
interception rules redirect the connection before it would leave. From a pod without such rules it arrives in the
sandbox's own namespace, where those of `services` choose an endpoint.

Pods with a proxy share the bridge. A pod without one is routed: its veth is no port of the bridge, which answers for
its address instead (proxy ARP). So what comes back from an endpoint passes the place where the endpoint was chosen,
and the endpoint may see the caller's own address.
"""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

BRIDGE = "br0"

# The sandbox's own network namespace, before the bridge is made; each is written only if the kernel has it.
SANDBOX_SETTINGS = (
    ("net/ipv4/ip_unprivileged_port_start", "0"),
    ("net/ipv4/ip_forward", "1"),  # from a pod to the endpoint that was chosen for it; there is no way out
    # Or clients would be told that a service's address is reached at its endpoint directly.
    ("net/ipv4/conf/all/send_redirects", "0"),
    ("net/ipv4/conf/default/send_redirects", "0"),
    # Where a host filters what its bridges carry, a pod could not reach itself by its service.
    ("net/bridge/bridge-nf-call-iptables", "0"),
)

# Of the bridge, once it is made.
BRIDGE_SETTINGS = ((f"net/ipv4/conf/{BRIDGE}/proxy_arp", "1"),)
ANSWER_AT_ONCE = f"ntable change name arp_cache dev {BRIDGE} proxy_delay 0\n"
"""For `ip -batch`: otherwise an answer for a routed pod is given after up to 0.8 s."""

# Per network namespace of a pod; each is written only if the kernel has it.
POD_SETTINGS = (
    ("net/ipv4/ip_unprivileged_port_start", "0"),  # an application without rights may serve port 80
    ("net/ipv4/tcp_migrate_req", "1"),  # connections waiting at a closing listener move to its successor
    ("net/ipv4/ping_group_range", "0 2147483647"),
    ("net/ipv6/conf/default/disable_ipv6", "1"),  # no way around the interception by link-local addresses
    ("net/ipv6/conf/eth0/disable_ipv6", "1"),
)


@dataclass(frozen=True, slots=True)
class Subnet:
    """The pods' network, for example 10.244.0.0/16; its first address is the bridge and the DNS server."""

    network: ipaddress.IPv4Network

    @staticmethod
    def parse(text: str) -> "Subnet":
        """From CIDR notation; ValueError when it is no IPv4 network or holds fewer than 4 addresses."""
        network = ipaddress.IPv4Network(text)
        if network.num_addresses < 4:
            raise ValueError(f"{text} is too small for a network of pods")
        return Subnet(network)

    @property
    def gateway(self) -> str:
        return str(self.network.network_address + 1)

    @property
    def prefix(self) -> int:
        return self.network.prefixlen

    def holds(self, address: str) -> bool:
        """Whether a pod may have this address."""
        try:
            parsed = ipaddress.IPv4Address(address)
        except ValueError:
            return False
        reserved = {self.network.network_address, self.network.broadcast_address, self.network.network_address + 1}
        return parsed in self.network and parsed not in reserved


def hardware_address(address: str) -> str:
    """The Ethernet address that goes with a pod's (or the bridge's) IPv4 address, always the same one.

    Pods remember each other's Ethernet addresses for a minute: a pod that gets the address of one that has left must
    be found at once. And a bridge without an address of its own takes that of one of its ports, so every pod that
    comes or goes would cut the others off from the bridge, and that is from DNS, for seconds.
    """
    return ":".join(("0a", "58", *(f"{byte:02x}" for byte in ipaddress.IPv4Address(address).packed)))


def bridge_batch(subnet: Subnet) -> str:
    """The sandbox's own namespace: loopback and the bridge with the gateway address."""
    return "\n".join(
        (
            "link set lo up",
            f"link add {BRIDGE} address {hardware_address(subnet.gateway)} type bridge",
            f"addr add {subnet.gateway}/{subnet.prefix} dev {BRIDGE}",
            f"link set {BRIDGE} up",
            "",
        )
    )


def namespace_name(index: int) -> str:
    """The network namespace of pod number `index` under /run/netns."""
    return f"mw-{index}"


def veth_name(index: int) -> str:
    """The bridge's end of the pod's veth pair."""
    return f"veth{index}"


def attach_batch(index: int, routed: str = "") -> str:
    """Outside the pod: its namespace and its veth pair, one end on the bridge, or a route to the address `routed`."""
    veth, name = veth_name(index), namespace_name(index)
    connected = (f"link set {veth} up", f"route add {routed}/32 dev {veth}") if routed else ()
    return "\n".join(
        (
            f"netns add {name}",
            f"link add {veth} type veth peer name eth0 netns {name}",
            *(connected or (f"link set {veth} master {BRIDGE} up",)),
            "",
        )
    )


def detach_batch(index: int) -> str:
    """Undo `attach_batch`. The veth goes explicitly: a socket that lingers would keep the namespace alive."""
    return f"link del {veth_name(index)}\nnetns del {namespace_name(index)}\n"


def inside_batch(subnet: Subnet, address: str, *, routed: bool = False) -> str:
    """Inside the pod's namespace: loopback, its address and the default route; to a routed pod nobody is near."""
    prefix = 32 if routed else subnet.prefix
    return "\n".join(
        (
            "link set lo up",
            f"link set eth0 address {hardware_address(address)}",
            f"addr add {address}/{prefix} dev eth0",
            "link set eth0 up",
            *((f"route add {subnet.gateway} dev eth0 scope link",) if routed else ()),
            f"route add default via {subnet.gateway}",
            "",
        )
    )


def write_settings(settings: tuple[tuple[str, str], ...], root: Path = Path("/proc/sys")) -> None:
    """Set what can be set in the caller's network namespace; a kernel without one of them works too."""
    for name, value in settings:
        try:
            (root / name).write_text(value, encoding="ascii")
        except OSError:
            continue


def resolv_conf(nameserver: str, search: tuple[str, ...]) -> str:
    """resolv.conf of a pod, as Kubernetes writes it."""
    lines = [f"nameserver {nameserver}"]
    if search:
        lines.append("search " + " ".join(search))
    return "\n".join([*lines, "options ndots:5", ""])


def hosts_file(address: str, hostname: str) -> str:
    """/etc/hosts of a pod."""
    return f"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n{address}\t{hostname}\n"
