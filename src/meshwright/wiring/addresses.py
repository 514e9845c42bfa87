"""Names get addresses: pods their IPs, services their virtual IPs. The same names give the same addresses everywhere.

An address is chosen by a hash of the name, the next free one when that is taken, in sorted order of names: so the
order of documents has no influence, a restart changes nothing, and a new name seldom moves another.
"""

import ipaddress
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b


@dataclass(frozen=True, slots=True)
class Network:
    """Host addresses first..last (both counted from the network address) of `cidr` may be given out."""

    cidr: str
    first: int = 16
    last: int | None = None


POD_NETWORK = Network("10.244.0.0/16")
SERVICE_NETWORK = Network("240.240.0.0/16")
LOOPBACK_POD_NETWORK = Network("127.66.0.0/16")
SERVICE_ADDRESSES = "addresses/services.json"  # in the data directory: what services have that are no Services


def allocate(names: Iterable[str], network: Network, taken: Collection[str] = ()) -> Mapping[str, str]:
    """An address for each name; `taken` are never given out.

    Raises OverflowError when the network has fewer addresses than there are names.
    """
    space = ipaddress.ip_network(network.cidr)
    base = int(space.network_address)
    last = network.last if network.last is not None else space.num_addresses - 2
    size = last - network.first + 1
    used = set(taken)
    given: dict[str, str] = {}
    for name in sorted(set(names)):
        if len(given) >= size:
            raise OverflowError(f"{network.cidr} has no address left for {name}")
        offset = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big") % size
        address = _free(base, network.first, size, offset, used)
        used.add(address)
        given[name] = address
    return given


def _free(base: int, first: int, size: int, offset: int, used: set[str]) -> str:
    for step in range(size):
        number = first + (offset + step) % size
        address = str(ipaddress.ip_address(base + number))
        if number % 256 not in (0, 255) and address not in used:
            return address
    raise OverflowError("every address of the network is taken")
