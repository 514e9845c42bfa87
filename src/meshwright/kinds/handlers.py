"""What a probe asks and what a hook does: an HTTP request, a connection, a command."""

from collections.abc import Collection, Iterator

from meshwright.kinds import formats
from meshwright.kinds.fields import Fields
from meshwright.kinds.metadata import PORT
from meshwright.kinds.schema import ANYTHING, Enum, ListOf, NumberOrName, Object, Rule, Text
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.pod import Probe, ProbeType

_PORT = NumberOrName(formats.CONTAINER_PORT_NAME)
HTTP_GET = Object(
    fields={
        "path": Text(),
        "port": _PORT,
        "host": ANYTHING,
        "scheme": Enum(("HTTP", "HTTPS")),
        "httpHeaders": ListOf(
            Object(
                fields={"name": Text(formats.HEADER_NAME, empty=False), "value": Text()},
                required={"name": "the header's name"},
            )
        ),
    },
    required={"port": "a number or the name of a container port"},
)
TCP_SOCKET = Object(
    fields={"port": _PORT, "host": ANYTHING},
    required={"port": "a number or the name of a container port"},
)
EXEC = Object(fields={"command": ListOf(Text(), least=1)}, required={"command": "a list of words"})
GRPC = Object(fields={"port": PORT, "service": Text()}, required={"port": "a number"})


def has_handler(names: Collection[str], usual: str, example: str) -> Rule:
    """The rule that one of these handlers is written; where none is, the `usual` one is missed (`example`: how)."""

    def rule(fields: Fields) -> Iterator[Diagnostic]:
        if not any(fields.has(name) for name in names):
            yield Diagnostic(codes.MISSING_FIELD, fields.origin.field(usual), (f"`{usual}`", example))

    return rule


def read_handler(fields: Fields) -> Probe:
    """The handler of an object that has one, with the times that hold where none are written. A gRPC probe asks only
    whether its port takes connections.
    """
    http, command = fields.child("httpGet"), fields.child("exec")
    tcp = fields.child("tcpSocket") or fields.child_or_empty("grpc")
    target = http or tcp
    return Probe(
        type=ProbeType.HTTP if http is not None else ProbeType.EXEC if command is not None else ProbeType.TCP,
        port=target.number_or_text("port") or 0,
        path=(target.text("path") if http else "") or "/",
        scheme=target.text("scheme", "HTTP") if http else "HTTP",
        headers=tuple((entry.text("name"), entry.text("value")) for entry in target.items("httpHeaders")),
        command=() if command is None else command.texts("command"),
    )
