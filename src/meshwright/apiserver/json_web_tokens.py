"""Signed tokens (JWT, RFC 7519) of exactly one kind: ES256 by one key of ours, which also checks them.

What the header of a token says of algorithms and keys decides nothing: what this key did not sign is refused before
its content is looked at.
"""

import base64
import binascii
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from meshwright.apiserver.access import write_private
from meshwright.apiserver.values import Json, is_map

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

LONGEST = 8_192  # characters of a token
PARTS = 3
HALF = 32  # bytes of each of the two numbers of a signature


class TokenError(ValueError):
    """A token that does not count; the text says why, and holds nothing of the token."""


class TokenKey:
    """Signs claims, and gives them back from its own tokens. Whether they still hold is the caller's question."""

    def __init__(self, key: "EllipticCurvePrivateKey") -> None:
        from cryptography.hazmat.primitives import serialization

        self._key = key
        spki = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self._header = _encoded(
            msgspec.json.encode({"alg": "ES256", "kid": _encoded(hashlib.sha256(spki).digest()), "typ": "JWT"})
        )

    @classmethod
    def keep(cls, path: Path) -> "TokenKey":
        """The key in a file, made (0600) where there is none. Raises OSError, ValueError when it is no such key."""
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        if path.exists():
            key = serialization.load_pem_private_key(path.read_bytes(), None)
            if not (isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)):
                raise ValueError(f"{path} is no ECDSA P-256 key: remove it, and all tokens end")
            path.chmod(0o600)
            return cls(key)
        made = ec.generate_private_key(ec.SECP256R1())
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        write_private(path, made.private_bytes(encoding, form, serialization.NoEncryption()).decode())
        return cls(made)

    def sign(self, claims: Json) -> str:
        """The token of these claims."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

        signed = f"{self._header}.{_encoded(msgspec.json.encode(claims))}"
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_encoded(r.to_bytes(HALF) + s.to_bytes(HALF))}"

    def claims(self, token: str) -> Json:
        """What a token says. Raises TokenError when this key did not sign it."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

        parts = token.split(".") if len(token) <= LONGEST else []
        if len(parts) != PARTS:
            raise TokenError("it is not known here")
        header, payload, signature = parts
        if header != self._header:
            raise TokenError("it was not issued by this mesh")
        both = _decoded(signature)
        if len(both) != 2 * HALF:
            raise TokenError("its signature is none")
        numbers = encode_dss_signature(int.from_bytes(both[:HALF]), int.from_bytes(both[HALF:]))
        try:
            self._key.public_key().verify(numbers, f"{header}.{payload}".encode(), ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise TokenError("its signature is forged") from None
        claims: object = msgspec.json.decode(_decoded(payload))
        if not is_map(claims):
            raise TokenError("it says nothing")
        return claims


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    """Raises TokenError for anything but the one way to write these bytes."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise TokenError("it cannot be read") from None
    if _encoded(data) != text:
        raise TokenError("it cannot be read")
    return data
