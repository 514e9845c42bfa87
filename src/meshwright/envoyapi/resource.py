"""One message becomes the bytes that go on the wire: canonical value, content version, ready frame.

This is the only place that serialises a resource, so equal messages give equal bytes in every process.
"""

from hashlib import blake2b

from google.protobuf.message import Message

from meshwright.envoyapi.envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse, Resource
from meshwright.envoyapi.google.protobuf.any_pb2 import Any
from meshwright.envoyapi.pool import TYPE_URL_PREFIX

VERSION_BYTES = 12
BYTES = 2
"""The wire type of fields that hold bytes or messages."""
MORE = 128
"""The bit that says: the number goes on."""


def encode(name: str, message: Message) -> tuple[str, tuple[bytes, ...]]:
    """(version, pieces of the frame) of the resource `name`; see `frame`.

    The piece after the head is the deterministic serialisation of `message`.
    """
    value = message.SerializeToString(deterministic=True)
    return frame(name, TYPE_URL_PREFIX + message.DESCRIPTOR.full_name, (value,))


def frame(name: str, type_url: str, value: tuple[bytes, ...], stand_in: bytes = b"") -> tuple[str, tuple[bytes, ...]]:
    """(version, pieces) of a resource that is serialised already; `value` are its bytes in pieces.

    `version`: 24 hex digits that depend on the bytes alone. The pieces (a head, then those of `value`) are, one after
    the other, a serialised DeltaDiscoveryResponse with just this resource. Protobuf merges concatenated messages, so
    a head and any number of frames make one response without serialising anything again. `stand_in`: what is hashed
    instead of a long value; it must be as different as the values are, e.g. made of the hashes of its parts.
    """
    digest = blake2b(stand_in, digest_size=VERSION_BYTES)
    for piece in () if stand_in else value:
        digest.update(piece)
    version = digest.hexdigest()
    size = sum(map(len, value))
    # the value is the last field of each message around it, so that it can be appended
    head = Any(type_url=type_url).SerializeToString() + _begin(Any.VALUE_FIELD_NUMBER, size)
    around = Resource(name=name, version=version).SerializeToString()
    head = around + _begin(Resource.RESOURCE_FIELD_NUMBER, len(head) + size) + head
    head = _begin(DeltaDiscoveryResponse.RESOURCES_FIELD_NUMBER, len(head) + size) + head
    return version, (head, *value)


def _begin(number: int, size: int) -> bytes:
    """Tag and length of a field that holds `size` bytes."""
    made = bytearray((number << 3 | BYTES,))
    while size >= MORE:
        made.append(size % MORE | MORE)
        size //= MORE
    made.append(size)
    return bytes(made)
