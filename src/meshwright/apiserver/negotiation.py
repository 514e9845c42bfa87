"""What a client can read: JSON always, as whole objects, as tables for people, or as metadata alone."""

from dataclasses import dataclass
from enum import StrEnum

from meshwright.apiserver.failure import not_acceptable, unsupported_media

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
WATCH = "application/json;stream=watch"
APPLY_PATCH = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
_READABLE = frozenset({JSON, "*/*", "application/*", ""})
_MOST = 32  # alternatives that are looked at


class Form(StrEnum):
    """In which form objects are wanted."""

    WHOLE = ""
    TABLE = "Table"
    METADATA = "PartialObjectMetadata"
    METADATA_LIST = "PartialObjectMetadataList"
    DISCOVERY = "APIGroupDiscoveryList"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The form, and the version of its own API that it is wanted in (`v1`)."""

    form: Form
    version: str = ""

    @property
    def content_type(self) -> str:
        if self.form is Form.WHOLE:
            return JSON
        group = "apidiscovery.k8s.io" if self.form is Form.DISCOVERY else "meta.k8s.io"
        return f"{JSON};as={self.form};v={self.version};g={group}"


WHOLE = Wanted(Form.WHOLE)


def wanted(accept: str) -> Wanted:
    """The first alternative that this server can give. Raises Failure 406."""
    if not accept.strip():
        return WHOLE
    for alternative in accept.split(",")[:_MOST]:
        kind, *parameters = (part.strip() for part in alternative.split(";"))
        if kind not in _READABLE:
            continue
        named = {name: value for name, _, value in (parameter.partition("=") for parameter in parameters)}
        form = named.get("as", "")
        if not form:
            return WHOLE
        if form in set(Form) and named.get("v") in _versions(Form(form)):
            return Wanted(Form(form), named["v"])
    raise not_acceptable(f"only the following media types are accepted: {JSON}")


def _versions(form: Form) -> tuple[str, ...]:
    return ("v2",) if form is Form.DISCOVERY else ("v1", "v1beta1")


def media_type(content_type: str) -> str:
    """A Content-Type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def check_body_type(content_type: str) -> str:
    """JSON, YAML or protobuf; clients that send nothing mean JSON. Raises Failure 415."""
    kind = media_type(content_type) or JSON
    if kind in (JSON, YAML, PROTOBUF):
        return kind
    raise unsupported_media(
        f"the body of the request was in an unknown format - accepted media types include: {JSON}, {YAML}, {PROTOBUF}"
    )
