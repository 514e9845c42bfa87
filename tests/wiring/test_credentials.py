"""Secrets whose certificates Envoy would refuse are found before a listener waits for them."""

import datetime as dt
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from meshwright.model.config import SecretRef
from meshwright.store.names import Key, Resource
from meshwright.wiring.object_book import ObjectBook

SECRETS = Resource("", "secrets")


def pair(curve: ec.EllipticCurve) -> tuple[str, str]:
    """A certificate and its key, as PEM."""
    key = ec.generate_private_key(curve)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop.example.com")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), text.decode()


def stored(certificate: str, key: str) -> SecretRef:
    """What the mesh knows of a Secret after it was stored."""
    value = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": "shop", "namespace": "default"},
        "stringData": {"tls.crt": certificate, "tls.key": key},
    }
    book = ObjectBook()
    assert book.put(Key(SECRETS, "default", "shop"), json.dumps(value).encode())
    [secret] = book.loaded.objects.secrets
    return secret


def test_a_good_pair_has_no_problem() -> None:
    assert stored(*pair(ec.SECP256R1())).problem == ""


@pytest.mark.parametrize("curve", [ec.SECP224R1(), ec.SECP256K1()])
def test_curves_that_envoy_does_not_take(curve: ec.EllipticCurve) -> None:
    assert curve.name in stored(*pair(curve)).problem


def test_what_does_not_belong_together_or_is_no_certificate() -> None:
    certificate, _ = pair(ec.SECP256R1())
    _, other_key = pair(ec.SECP256R1())
    assert "does not belong" in stored(certificate, other_key).problem
    assert "not PEM" in stored("not a certificate", other_key).problem
