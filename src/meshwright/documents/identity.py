"""Who a document is: kind, namespace and name, as far as they can be made out."""

import re

from meshwright.documents.document import Value
from meshwright.model.origin import ObjectRef

DEFAULT_NAMESPACE = "default"
FILE = "File"  # the kind of the stand-in for text that is no object at all

CLUSTER_SCOPED = frozenset({
    "Namespace", "Node", "PersistentVolume", "StorageClass", "IngressClass", "PriorityClass", "RuntimeClass",
    "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "APIService", "GatewayClass", "CSIDriver",
    "CSINode", "VolumeAttachment", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration",
    "CertificateSigningRequest", "ClusterTrustBundle",
})  # fmt: skip

_KIND = re.compile(r"^kind:[ \t]*[\"']?([A-Za-z]\w*)", re.MULTILINE)
_VERSION = re.compile(r"^apiVersion:[ \t]*[\"']?([\w./-]+)", re.MULTILINE)
_METADATA = re.compile(r"^metadata:[ \t]*\n((?:[ \t]+.*\n?|[ \t]*\n|#.*\n?)*)", re.MULTILINE)
_JSON_TEXT = r"[^{}]*?\"%s\"\s*:\s*\"([\w./-]+)\""
_JSON_KIND = re.compile(r"^\s*\{" + _JSON_TEXT % "kind")
_JSON_NAME = re.compile(r"\"metadata\"\s*:\s*\{" + _JSON_TEXT % "name")
_JSON_NAMESPACE = re.compile(r"\"metadata\"\s*:\s*\{" + _JSON_TEXT % "namespace")
_JSON_VERSION = re.compile(r"^\s*\{" + _JSON_TEXT % "apiVersion")
_FLOW_METADATA = re.compile(r"^metadata:[ \t]*(\{[^{}\n]*)", re.MULTILINE)
_FLOW_NAME = re.compile(r"[{,][ \t]*name:[ \t]*[\"']?([\w.-]+)")
_FLOW_NAMESPACE = re.compile(r"[{,][ \t]*namespace:[ \t]*[\"']?([\w.-]+)")
_NAME = re.compile(r"^[ \t]+name:[ \t]*[\"']?([\w.-]+)", re.MULTILINE)
_NAMESPACE = re.compile(r"^[ \t]+namespace:[ \t]*[\"']?([\w.-]+)", re.MULTILINE)


def file_ref(file: str) -> ObjectRef:
    """The stand-in for text that names no object."""
    return ObjectRef(FILE, "", file)


def ref_of(value: dict[str, Value]) -> ObjectRef:
    """The object that a document declares; a missing namespace is `default`, a missing name is ""."""
    kind = value.get("kind")
    metadata = value.get("metadata")
    fields: dict[str, Value] = metadata if isinstance(metadata, dict) else {}
    name, namespace = fields.get("name"), fields.get("namespace")
    kind_text = kind if isinstance(kind, str) else ""
    space = namespace if isinstance(namespace, str) and namespace else DEFAULT_NAMESPACE
    if kind_text in CLUSTER_SCOPED:
        space = ""
    return ObjectRef(kind_text, space, name if isinstance(name, str) else "")


def salvage(text: str) -> dict[str, Value] | None:
    """The identity of a document whose text is broken further down, read line by line; None if there is none."""
    kind, metadata, flow = _KIND.search(text), _METADATA.search(text), _FLOW_METADATA.search(text)
    if kind is not None and flow is not None:
        found = [kind, _FLOW_NAME.search(flow[1]), _FLOW_NAMESPACE.search(flow[1]), _VERSION.search(text)]
    elif kind is None or metadata is None:
        found = [pattern.search(text) for pattern in (_JSON_KIND, _JSON_NAME, _JSON_NAMESPACE, _JSON_VERSION)]
    else:
        inner = metadata[1]
        found = [kind, _NAME.search(inner), _NAMESPACE.search(inner), _VERSION.search(text)]
    kind_text, name, namespace, version = (match[1] if match else "" for match in found)
    if not kind_text or not name:
        return None
    fields: dict[str, Value] = {"name": name}
    if namespace:
        fields["namespace"] = namespace
    return {"apiVersion": version, "kind": kind_text, "metadata": fields}
