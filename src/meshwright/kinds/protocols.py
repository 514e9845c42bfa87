"""What a port speaks, from the words that users write."""

from meshwright.documents.document import Value
from meshwright.kinds.place import Place
from meshwright.kinds.schema import Run, suggest
from meshwright.model import codes
from meshwright.model.protocol import Protocol

_WORDS: dict[str, Protocol] = {
    "http": Protocol.HTTP,
    "http2": Protocol.HTTP2,
    "grpc": Protocol.GRPC,
    "grpc-web": Protocol.GRPC_WEB,
    "https": Protocol.HTTPS,
    "tls": Protocol.TLS,
    "tcp": Protocol.TCP,
    "udp": Protocol.UDP,
    "mongo": Protocol.TCP,
    "redis": Protocol.TCP,
    "mysql": Protocol.TCP,
}
_APP_PROTOCOLS = {
    "kubernetes.io/h2c": Protocol.HTTP2,
    "kubernetes.io/ws": Protocol.HTTP,
    "kubernetes.io/wss": Protocol.HTTPS,
}
_TCP_PORTS = frozenset({25, 53, 3306, 27017})  # servers that speak first: waiting for a client would hang


def protocol_of(word: str) -> Protocol | None:
    """A protocol by its name, in any case."""
    return _WORDS.get(word.lower())


def protocol_of_port(number: int, name: str, app_protocol: str, transport: str) -> Protocol:
    """A Kubernetes port's protocol: appProtocol, else the name up to its first `-`, else by number, else AUTO."""
    if transport in ("UDP", "SCTP"):
        return Protocol.UDP
    if app_protocol:
        declared = _APP_PROTOCOLS.get(app_protocol.lower()) or protocol_of(app_protocol)
        if declared is not None:
            return declared
    lower = name.lower()
    prefix = "grpc-web" if lower == "grpc-web" or lower.startswith("grpc-web-") else lower.partition("-")[0]
    named = protocol_of(prefix)
    if named is not None:
        return named
    return Protocol.TCP if number in _TCP_PORTS else Protocol.AUTO


class ProtocolName:
    """The schema type of a protocol field: one of the known words, upper or lower case."""

    def __init__(self, *, udp: bool = False) -> None:
        self._choices = tuple(word.upper() for word in _WORDS if udp or word != "udp")

    def check(self, value: Value, place: Place, run: Run) -> None:
        if isinstance(value, str) and value.upper() in self._choices:
            return
        choices = ", ".join(self._choices)
        meant = suggest(value, self._choices) if isinstance(value, str) else None
        fix = f"did you mean {meant}?" if meant else f"use one of {choices}"
        if isinstance(value, str):
            run.report(codes.UNKNOWN_VALUE, place, run.quote(value), choices, fix)
        else:
            run.wrong_type(place, "a protocol's name", value, fix)
