"""One message becomes the bytes that go on the wire: canonical value, content version, ready frame.

This is the only place that serialises a resource, so equal messages give equal bytes in every process.
"""

from hashlib import blake2b

from google.protobuf.message import Message

from meshwright.envoyapi.envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse, Resource
from meshwright.envoyapi.google.protobuf.any_pb2 import Any
from meshwright.envoyapi.pool import TYPE_URL_PREFIX

VERSION_BYTES = 12


def encode(name: str, message: Message) -> tuple[str, bytes, bytes]:
    """(version, value, frame) of the resource `name`.

    `value` is the deterministic serialisation of `message`; `version` 24 hex digits that depend on nothing else;
    `frame` a serialised DeltaDiscoveryResponse that holds just this resource. Protobuf merges concatenated messages,
    so a head and any number of frames make one response without serialising anything again.
    """
    value = message.SerializeToString(deterministic=True)
    version, framed = frame(name, TYPE_URL_PREFIX + message.DESCRIPTOR.full_name, value)
    return version, value, framed


def frame(name: str, type_url: str, value: bytes, stand_in: bytes = b"") -> tuple[str, bytes]:
    """(version, frame) of a resource that is serialised already. `stand_in`: what is hashed instead of a long value;
    it must be as different as the values are, e.g. made of the hashes of its parts.
    """
    version = blake2b(stand_in or value, digest_size=VERSION_BYTES).hexdigest()
    resource = Resource(name=name, version=version, resource=Any(type_url=type_url, value=value))
    return version, DeltaDiscoveryResponse(resources=[resource]).SerializeToString(deterministic=True)
