"""Namespace, ServiceAccount, ConfigMap and Secret documents."""

import base64
import hashlib
from collections.abc import Mapping

from meshwright.kinds import formats
from meshwright.kinds.fields import Fields
from meshwright.kinds.metadata import metadata
from meshwright.kinds.naming import Names
from meshwright.kinds.schema import ANYTHING, Flag, MapOf, Object, Text
from meshwright.model.config import ConfigMap, MeshNamespace, SecretContent, SecretRef, SecretUse, ServiceAccount
from meshwright.model.meta import Meta

_TLS_PAIRS = (("tls.crt", "tls.key"), ("cert", "key"))
_CA_KEYS = ("ca.crt", "cacert")
_HEADER = {"apiVersion": Text(), "kind": Text()}

NAMESPACE_SCHEMA = Object(
    fields={**_HEADER, "metadata": metadata(formats.LABEL), "spec": ANYTHING, "status": ANYTHING}
)
SERVICE_ACCOUNT_SCHEMA = Object(
    fields={
        **_HEADER,
        "metadata": metadata(),
        "secrets": ANYTHING,
        "imagePullSecrets": ANYTHING,
        "automountServiceAccountToken": Flag(),
    }
)
CONFIG_MAP_SCHEMA = Object(
    fields={
        **_HEADER,
        "metadata": metadata(),
        "data": MapOf(Text(), nullable=True),
        "binaryData": MapOf(Text(formats.BASE64), nullable=True),
        "immutable": Flag(),
    }
)
SECRET_SCHEMA = Object(
    fields={
        **_HEADER,
        "metadata": metadata(),
        "type": Text(),
        "data": MapOf(Text(formats.BASE64), nullable=True),
        "stringData": MapOf(Text(), nullable=True),
        "immutable": Flag(),
    }
)


def read_namespace(_root: Fields, meta: Meta, _names: Names) -> tuple[MeshNamespace]:
    return (MeshNamespace(meta),)


def read_service_account(_root: Fields, meta: Meta, _names: Names) -> tuple[ServiceAccount]:
    return (ServiceAccount(meta),)


def read_config_map(root: Fields, meta: Meta, _names: Names) -> tuple[ConfigMap]:
    return (ConfigMap(meta, tuple(sorted(root.pairs("data").items()))),)


def read_secret(root: Fields, meta: Meta, _names: Names) -> tuple[SecretRef, SecretContent]:
    """What everybody may know of the Secret, and apart from it the content."""
    data = {key: base64.b64decode("".join(value.split())) for key, value in root.pairs("data").items()}
    data.update({key: value.encode() for key, value in root.pairs("stringData").items()})
    content = tuple(sorted(data.items()))
    has_ca = any(data.get(key) for key in _CA_KEYS)
    return SecretRef(meta, _use(data, has_ca=has_ca), has_ca, _fingerprint(content)), SecretContent(meta, content)


def _use(data: Mapping[str, bytes], *, has_ca: bool) -> SecretUse:
    if any(data.get(certificate) and data.get(key) for certificate, key in _TLS_PAIRS):
        return SecretUse.TLS
    return SecretUse.CA if has_ca else SecretUse.OTHER


def _fingerprint(content: tuple[tuple[str, bytes], ...]) -> str:
    """SHA-256 over keys and values with their lengths, so that no two contents run together."""
    digest = hashlib.sha256()
    for key, value in content:
        digest.update(f"{len(key.encode())}:{key}={len(value)}:".encode())
        digest.update(value)
    return digest.hexdigest()
