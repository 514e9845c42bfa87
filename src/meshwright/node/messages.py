"""What goes over a node's stream: msgpack arrays, each with a number that says which message it is.

Both sides send *tables* (see `tables`): rows, then a commit that makes them count. A field is only ever added at the
end of a message, with a default; what is more than that needs another `PROTOCOL`.
"""

from typing import Final

import msgspec

from meshwright.model.names import ResourceName, TypeUrl, Version

PROTOCOL: Final = 1
PATH: Final = "/meshwright.node.v1.Node/Stream"


class Message(msgspec.Struct, array_like=True):
    """Any of the messages below."""


class Hello(Message, tag=1):
    """Up, first: what the node still has. `tables`: table -> digest; `blobs`: digests of resources."""

    protocol: int
    tables: dict[str, bytes]
    blobs: list[bytes]


class Blob(Message, tag=2):
    """Down: one resource. `head` and `value` together are its frame."""

    url: TypeUrl
    name: ResourceName
    version: Version
    head: bytes
    value: bytes


class Rows(Message, tag=3):
    """Changes of one table. `order` names all its rows when their order is not the old one with new rows behind."""

    table: str
    put: list[tuple[str, bytes]] = []
    gone: list[str] = []
    order: list[str] | None = None


class Dropped(Message, tag=4):
    """These tables are gone."""

    tables: list[str]


class Commit(Message, tag=5):
    """Everything since the last commit counts from now on, at once.

    `serial` counts the commits of this stream; `change` is the number of the published set they bring (0: none).
    """

    serial: int
    change: int = 0


class SignAsked(Message, tag=6):
    """Up: a certificate for the pod's identity, please; the key stays with the node."""

    number: int
    pod: str
    csr_pem: bytes


class Signed(Message, tag=7):
    """Down: the chain (PEM), or why there is none."""

    number: int
    chain_pem: bytes
    refused: str = ""


class DrainAsked(Message, tag=8):
    """Up: say when no proxy has this pod, reported as not ready before, among its endpoints any more."""

    number: int
    pod: str


class Drained(Message, tag=9):
    """Down: the answer to `DrainAsked`, also when it is useless to wait longer."""

    number: int


Down = Blob | Rows | Dropped | Commit | Signed | Drained
Up = Hello | Rows | Dropped | Commit | SignAsked | DrainAsked

_ENCODER: Final = msgspec.msgpack.Encoder()
_DOWN: Final = msgspec.msgpack.Decoder(Down)
_UP: Final = msgspec.msgpack.Decoder(Up)


def encode(message: Message) -> bytes:
    """The bytes of a message."""
    return _ENCODER.encode(message)


def decode_down(data: bytes) -> Down:
    """What the control plane says. Raises msgspec.MsgspecError."""
    return _DOWN.decode(data)


def decode_up(data: bytes) -> Up:
    """What a node says. Raises msgspec.MsgspecError."""
    return _UP.decode(data)
