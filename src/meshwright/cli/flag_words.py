"""What Envoy's response flags mean; the console's `flags.js` says the same (a test compares them)."""

from collections.abc import Mapping

NONE = "-"
FLAGS: Mapping[str, str] = {
    "LH": "the server failed its health check",
    "UH": "no healthy server",
    "UT": "the server did not answer in time",
    "LR": "the connection was reset on this side",
    "UR": "the server reset the connection",
    "UF": "no connection to the server",
    "UC": "the server closed the connection",
    "UO": "too many requests at once (circuit breaker)",
    "NR": "no route for this request",
    "DI": "delayed by a fault rule",
    "FI": "answered by a fault rule",
    "RL": "over the rate limit",
    "UAEX": "refused by an authorization service",
    "RLSE": "the rate limit service failed",
    "DC": "the caller closed the connection",
    "URX": "all retries or connection attempts were used up",
    "SI": "the connection was idle for too long",
    "IH": "a header has a value that is not allowed",
    "DPE": "the caller broke the protocol",
    "UPE": "the server broke the protocol",
    "UMSDR": "the longest time for the whole request was over",
    "RFCF": "answered from the cache",
    "NFCF": "not in the cache",
    "DT": "the connection lived for its longest time",
    "NC": "the destination is not known to the proxy",
    "OM": "the proxy is short of memory or files",
    "DF": "the name of the server was not found in DNS",
    "DO": "dropped on purpose to shed load",
    "DR": "the caller cancelled the request",
    "UDO": "dropped by an overload rule",
}


def flag_words(flags: str) -> str:
    """The meaning of `UH,URX`; "" for `-`. A flag that is not known stands for itself."""
    names = [] if flags == NONE else [name for name in flags.split(",") if name]
    return ", ".join(FLAGS.get(name, name) for name in names)
