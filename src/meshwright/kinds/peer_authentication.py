"""PeerAuthentication documents. A broken one fails closed: what it selects then takes mutual TLS only."""

from collections.abc import Iterator

from meshwright.documents.document import Value
from meshwright.kinds.fields import Fields
from meshwright.kinds.formats import Format
from meshwright.kinds.metadata import LABELS, metadata
from meshwright.kinds.naming import Names
from meshwright.kinds.schema import ANYTHING, MAX_PORT, Enum, MapOf, Object, Text
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.labels import Labels
from meshwright.model.meta import Meta
from meshwright.model.names import PortNumber
from meshwright.model.peer_authentication import MutualTlsMode, PeerAuthentication

_PORT_KEY = Format(
    "a port number", "8080", lambda text: text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_PORT
)
_MUTUAL_TLS = Object(fields={"mode": Enum(tuple(MutualTlsMode))}, single="mode")


def _ports_need_selector(spec: Fields) -> Iterator[Diagnostic]:
    if spec.raw("portLevelMtls") and not spec.child_or_empty("selector").raw("matchLabels"):
        yield Diagnostic(codes.PORT_MODE_NEEDS_SELECTOR, spec.origin.field("portLevelMtls"))


_SPEC = Object(
    fields={
        "selector": Object(fields={"matchLabels": LABELS}),
        "mtls": _MUTUAL_TLS,
        "portLevelMtls": MapOf(_MUTUAL_TLS, _PORT_KEY, nullable=True),
    },
    rules=(_ports_need_selector,),
)
SCHEMA = Object(
    fields={"apiVersion": Text(), "kind": Text(), "metadata": metadata(), "spec": _SPEC, "status": ANYTHING}
)


def read(root: Fields, meta: Meta, _names: Names) -> tuple[PeerAuthentication]:
    """The checked document as a model value."""
    spec = root.child_or_empty("spec")
    ports = ((PortNumber(int(key)), _mode(fields)) for key, fields in spec.entries("portLevelMtls"))
    selector = Labels.of(spec.child_or_empty("selector").pairs("matchLabels"))
    return (PeerAuthentication(meta, _mode(spec.child_or_empty("mtls")), selector, tuple(sorted(ports))),)


def _mode(fields: Fields) -> MutualTlsMode:
    return MutualTlsMode(fields.text("mode", MutualTlsMode.UNSET))


def closed(value: dict[str, Value], meta: Meta) -> tuple[PeerAuthentication]:
    """STRICT for what a broken document selects; for the whole namespace when its selector cannot be read."""
    spec = value.get("spec")
    selector = spec.get("selector") if isinstance(spec, dict) else None
    labels = selector.get("matchLabels") if isinstance(selector, dict) else None
    pairs: dict[str, str] = {}
    if isinstance(labels, dict) and isinstance(selector, dict) and len(selector) == 1:
        pairs = {key: text for key, text in labels.items() if isinstance(text, str)}
        pairs = pairs if len(pairs) == len(labels) else {}
    return (PeerAuthentication(meta, MutualTlsMode.STRICT, Labels.of(pairs)),)
