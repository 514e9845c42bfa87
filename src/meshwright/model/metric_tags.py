"""What one series of a proxy's counters is told apart by: all values in one tag, in this order, with spaces between.

One tag instead of ten is what makes counting cheap: Envoy puts a text together for each tag of each series, for each
request. Only the last two may have spaces: a route's name, which is configuration, and the Host header, which a
client may have made up. What a series does not have is "-".
"""

TAG = "of"
MESSAGES = "messages"
"""The tag with how many messages a gRPC call had: "<requests>,<responses>"."""
FLOWS = "flows.log"
"""Lines of what lasts, in the folder where the proxy works; whoever reads them cuts the file."""
RECEIVED, SENT = "received", "sent"
"""In a line of a connection: bytes from and to the client, since it began."""
NOTHING = "-"
ORDER = (
    "reporter",
    "response_flags",
    "response_code",
    "grpc_response_status",
    "cluster",
    "workload",
    "peer",
    "source_principal",
    "destination_principal",
    "route",
    "host",
)
REFUSING_ROUTE = "block_all"
"""Istio's name of the route of requests for hosts that nobody knows, where these are not let through."""


def joined(values: dict[str, str]) -> str:
    """The tag's value of these values; `values` has no name that ORDER does not have."""
    return " ".join(values.get(name, NOTHING) for name in ORDER)


def parted(value: str) -> dict[str, str]:
    """The values by name, without those that are nothing."""
    *parts, last = value.split(" ", len(ORDER) - 2)
    route, _, host = last.rpartition(" ")
    parts += (route, host)
    return {name: part for name, part in zip(ORDER, parts, strict=False) if part not in {"", NOTHING}}
