"""Built messages become encoded resources: Envoy's own field rules first, then canonical bytes."""

from dataclasses import dataclass

from google.protobuf.message import Message

from meshwright.compiler.built import Built, Origins
from meshwright.envoyapi.resource import frame
from meshwright.envoyapi.rules import Violation, violations
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.names import ResourceName, Version
from meshwright.model.origin import ObjectRef, Origin
from meshwright.model.published import EncodedResource


@dataclass(frozen=True, slots=True)
class Encoded:
    """The resource (None: Envoy would refuse it, or there is nothing to send) and what is to be told about it."""

    resource: EncodedResource | None
    findings: tuple[Diagnostic, ...] = ()
    secrets: tuple[ResourceName, ...] = ()


def encode(built: Built) -> Encoded:
    """Canonical bytes, their hash as version, and the frame for the wire. An element of a list at the top of the
    message (a filter chain, a virtual host) that breaks a rule of Envoy's is left out; anything else that does
    takes the whole resource with it, for Envoy would refuse its siblings too.
    """
    findings = list(built.findings)
    if not _has_name(built.message):
        return Encoded(None, built.findings)
    while broken := violations(built.message):
        findings.append(_refused(built, broken[0]))
        if not _leave_out(built.message, broken[0].path):
            return Encoded(None, tuple(findings))
    head = built.message.SerializeToString(deterministic=True)
    stand_in = built.tail_digest and (head + built.tail_digest)
    version, pieces = frame(built.name, built.type_url, (head, *built.tail), stand_in)
    resource = EncodedResource(built.type_url, built.name, Version(version), pieces, (built.origins, *built.placed))
    return Encoded(resource, tuple(findings), built.secrets)


def _has_name(message: Message) -> bool:
    """An empty message carries findings only."""
    return bool(message.ByteSize())


def _leave_out(message: Message, path: str) -> bool:
    """Remove `field[index]` at the start of `path`; False when it does not start so, or nothing would be left."""
    field, bracket, rest = path.partition("[")
    index = rest.partition("]")[0]
    if not bracket or "." in field or not index.isdigit() or field not in ("filter_chains", "virtual_hosts"):
        return False
    elements = getattr(message, field)
    if len(elements) == 1:
        return False
    del elements[int(index)]
    return True


def _refused(built: Built, broken: Violation) -> Diagnostic:
    at = nearest(built.origins, broken.path) or Origin(ObjectRef("Mesh", "", str(built.name)))
    return Diagnostic(codes.ENVOY_REFUSES, at, (f"{built.name} {broken.path}", f"{broken.value} {broken.rule}"))


def nearest(origins: Origins, path: str) -> Origin | None:
    """The origin of the smallest element that holds `path`."""
    around = [(len(place), origin) for place, origin in origins if path.startswith(place)]
    return max(around, key=lambda found: found[0])[1] if around else None
