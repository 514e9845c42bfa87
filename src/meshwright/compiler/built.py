"""What builders give to `encode`: a message with the origins of its elements beside it."""

from dataclasses import dataclass

from google.protobuf.message import Message

from meshwright.model.diagnostic import Diagnostic
from meshwright.model.names import ResourceName, TypeUrl
from meshwright.model.published import Origins

__all__ = ["Built", "Origins"]


@dataclass(frozen=True, slots=True)
class Built:
    """One resource before encoding. `tail` holds bytes of further, already serialised fields of the message
    (protobuf allows appending): how a route configuration of a thousand virtual hosts is put together without
    building them again, in pieces that are never joined; `placed` are the origins of what is in it, in groups.
    `tail_digest`, when given, is a hash that stands for the tail in the version. `secrets`: the SDS names that the
    message refers to. A message without any field is not sent: it carries findings only.
    """

    type_url: TypeUrl
    name: ResourceName
    message: Message
    origins: Origins = ()
    tail: tuple[bytes, ...] = ()
    placed: tuple[Origins, ...] = ()
    tail_digest: bytes = b""
    findings: tuple[Diagnostic, ...] = ()
    secrets: tuple[ResourceName, ...] = ()
