"""What one series of a proxy's counters is told apart by: all values in one tag, whose name is the reporter.

One tag instead of ten, and as few pieces as can be taken apart again, is what makes counting cheap: Envoy puts a text
together for each tag of each series, for each request, and a piece that stands between two values costs what a value
costs. So flags, response code and status of gRPC stand in front without anything between them, and the next value at
once behind: "UF,URX50314outbound|80||shop.example" is UF,URX, 503, 14 and a cluster. The code is always there, as "0"
where there was none; no cluster and no identity begins with a digit. Spaces part the rest.

Only the last two of the source's may have spaces: a route's name, which is configuration, and the Host header, which
a client may have made up. What a series does not have is empty.
"""

import re
from collections.abc import Mapping

SOURCE, DESTINATION = "source", "destination"
MESSAGES = "messages"
"""The tag with how many messages a gRPC call had: "<requests>,<responses>"."""
FLOWS = "flows.log"
"""Lines of what lasts, in the folder where the proxy works; whoever reads them cuts the file."""
RECEIVED, SENT = "received", "sent"
"""In a line of a connection: bytes from and to the client, since it began."""
NOTHING = frozenset({"", "-"})
HEAD = ("response_flags", "response_code", "grpc_response_status")
PLACES: Mapping[str, tuple[str, ...]] = {
    SOURCE: ("cluster", "workload", "destination_principal", "route", "host"),
    DESTINATION: ("source_principal", "cluster", "peer"),
}
NAMES = ("reporter", *HEAD, *dict.fromkeys(name for names in PLACES.values() for name in names))
"""All of them, as lines in files name them."""
REFUSING_ROUTE = "block_all"
"""Istio's name of the route of requests for hosts that nobody knows, where these are not let through."""
NO_CODE = "0"
_PARTS = re.compile(r"([^\d]*)(0|\d{3})(-?\d*)(.*)", re.DOTALL)


def joined(values: Mapping[str, str]) -> str:
    """The tag's value of these values, of which `reporter` is the tag's name; each name is one of NAMES."""
    flags, code, status = (values.get(name, "") for name in HEAD)
    rest = " ".join(values.get(name, "") for name in PLACES[values["reporter"]])
    return f"{flags}{code or NO_CODE}{status}{rest}".rstrip(" ")


def parted(reporter: str, value: str) -> dict[str, str]:
    """The values by name, with the reporter, without those that are nothing."""
    found = _PARTS.fullmatch(value)
    if found is None:
        return {"reporter": reporter}
    *head, rest = found.groups()
    names = PLACES[reporter]
    parts = rest.split(" ", len(names) - 1)
    if len(parts) == len(names):
        route, _, host = " ".join(parts[-2:]).rpartition(" ")
        parts[-2:] = (route, host)
    told = zip((*HEAD, *names), (*head, *parts), strict=False)
    return {"reporter": reporter} | {name: part for name, part in told if part not in NOTHING}
