"""What builders give to `encode`: a message with the origins of its elements beside it."""

from dataclasses import dataclass

from google.protobuf.message import Message

from meshwright.model.diagnostic import Diagnostic
from meshwright.model.names import ElementPath, ResourceName, TypeUrl
from meshwright.model.origin import Origin

Origins = tuple[tuple[ElementPath, Origin], ...]


@dataclass(frozen=True, slots=True)
class Built:
    """One resource before encoding. `tail` holds bytes of further, already serialised fields of the message
    (protobuf allows appending): how a route configuration of a thousand virtual hosts is put together without
    building them again; `tail_digest`, when given, is a hash that stands for the tail in the version. `secrets`: the
    SDS names that the message refers to. A message without any field is not sent: it carries findings only.
    """

    type_url: TypeUrl
    name: ResourceName
    message: Message
    origins: Origins = ()
    tail: bytes = b""
    tail_digest: bytes = b""
    findings: tuple[Diagnostic, ...] = ()
    secrets: tuple[ResourceName, ...] = ()
