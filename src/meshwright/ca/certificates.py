"""X.509 as the mesh uses it: a root, an issuer below it, leaves with SPIFFE identities.

Import it where it is used (cryptography is heavy). Keys are ECDSA P-256, times UTC. Nothing here touches files.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes, PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from meshwright.ca.times import DEFAULT_TIMES

BACKDATE = timedelta(minutes=2)
"""Clocks differ: a certificate is valid a little earlier than it was made."""
SMALLEST_RSA = 2048
CURVES = ("secp256r1", "secp384r1", "secp521r1")  # P-256, P-384, P-521


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate (with what leads to the root behind it) and its private key, both PEM."""

    chain_pem: bytes
    key_pem: bytes = field(repr=False)


def new_root(trust_domain: str, now: datetime, lifetime: timedelta = DEFAULT_TIMES.root) -> Pair:
    """A self-signed root."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"meshwright root of {trust_domain}")
    certificate = _authority(name, key, (name, key), now, lifetime, below=1)
    return Pair(_pem(certificate), _key_pem(key))


def new_issuer(root: Pair, trust_domain: str, now: datetime, lifetime: timedelta = DEFAULT_TIMES.issuer) -> Pair:
    """The certificate that signs leaves, signed by `root`; never valid longer than it."""
    signer, signer_key = _first(root.chain_pem), _private_key(root.key_pem)
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"meshwright issuer of {trust_domain}")
    certificate = _authority(
        name, key, (signer.subject, signer_key), now, _until(signer, now, lifetime) - now, below=0
    )
    return Pair(_pem(certificate), _key_pem(key))


def leaf_for(issuer: Pair, key: CertificatePublicKeyTypes, uri: str, now: datetime, lifetime: timedelta) -> bytes:
    """The certificate of a key for the identity `uri`, with the issuer's certificate behind it."""
    signer, signer_key = _first(issuer.chain_pem), _private_key(issuer.key_pem)
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        _builder(x509.Name([]), signer.subject, key, now, _until(signer, now, lifetime))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        # critical because the subject is empty (RFC 5280, 4.2.1.6)
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), critical=True)
        .add_extension(_authority_identifier(signer_key), critical=False)
        .sign(signer_key, hashes.SHA256())
    )
    return _pem(certificate) + issuer.chain_pem


def new_server(issuer: Pair, names: Sequence[str], now: datetime, lifetime: timedelta) -> Pair:
    """A new key and its certificate for a server that is reached under `names` (host names and IP addresses)."""
    signer, signer_key = _first(issuer.chain_pem), _private_key(issuer.key_pem)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(_name(names[0]), signer.subject, key.public_key(), now, _until(signer, now, lifetime))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .add_extension(_authority_identifier(signer_key), critical=False)
        .sign(signer_key, hashes.SHA256())
    )
    return Pair(_pem(certificate) + issuer.chain_pem, _key_pem(key))


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def validity(pem: bytes) -> tuple[datetime, datetime]:
    """From when and until when the first certificate of `pem` holds. Raises ValueError."""
    certificate = _first(pem)
    return certificate.not_valid_before_utc, certificate.not_valid_after_utc


def uris(pem: bytes) -> list[str]:
    """The URI names of the first certificate of `pem`. Raises ValueError."""
    try:
        names = _first(pem).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.UniformResourceIdentifier)


def split(bundle_pem: bytes) -> list[bytes]:
    """The certificates of a bundle, each as PEM. Raises ValueError when one cannot be read, or there is none."""
    return [_pem(certificate) for certificate in x509.load_pem_x509_certificates(bundle_pem)]


def is_signed_by(pem: bytes, signer_pem: bytes) -> bool:
    """Whether the first certificate of `pem` was signed by the first one of `signer_pem`. Raises ValueError."""
    try:
        _first(pem).verify_directly_issued_by(_first(signer_pem))
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def problem_of_pair(chain_pem: bytes, key_pem: bytes) -> str:
    """Why this certificate and this key are of no use together; "" when they are."""
    try:
        certificate = _first(chain_pem)
    except ValueError:
        return "the certificate is not PEM that can be read"
    try:
        key = serialization.load_pem_private_key(key_pem, None)
    except TypeError:
        return "the private key is encrypted"
    except (ValueError, UnsupportedAlgorithm):
        return "the private key is not PEM that can be read"
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size < SMALLEST_RSA:
            return f"the RSA key has {key.key_size} bits, fewer than {SMALLEST_RSA}"
    elif not isinstance(key, ec.EllipticCurvePrivateKey):
        return "the private key is neither RSA nor ECDSA"
    elif key.curve.name not in CURVES:
        return f"the ECDSA key is on curve {key.curve.name}; Envoy takes {', '.join(CURVES)}"
    if _public(certificate.public_key()) != _public(key.public_key()):
        return "the private key does not belong to the certificate"
    return ""


def problem_of_server(chain_pem: bytes, key_pem: bytes) -> str:
    """Why Envoy would refuse to serve this certificate with this key; "" when it takes them."""
    problem = problem_of_pair(chain_pem, key_pem)
    certificate = None if problem else _first(chain_pem)
    if certificate is None or isinstance(certificate.public_key(), rsa.RSAPublicKey):
        return problem
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return ""
    return "" if usage.digital_signature else "the certificate's key usage lacks digitalSignature"


def problem_of_bundle(pem: bytes) -> str:
    """Why these CA certificates cannot be used; "" when they can."""
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError:
        found = []
    return "" if found else "the CA certificate is not PEM that can be read"


# ---------------------------------------------------------------- parts


def _authority(
    name: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issued_by: tuple[x509.Name, ec.EllipticCurvePrivateKey],
    now: datetime,
    lifetime: timedelta,
    *,
    below: int,
) -> x509.Certificate:
    """A certificate that may sign others, with at most `below` authorities under it."""
    issuer, signer = issued_by
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        _builder(name, issuer, key.public_key(), now, now + lifetime)
        .add_extension(x509.BasicConstraints(ca=True, path_length=below), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(_authority_identifier(signer), critical=False)
        .sign(signer, hashes.SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: CertificatePublicKeyTypes, now: datetime, until: datetime
) -> x509.CertificateBuilder:
    begin = now - min(BACKDATE, (until - now) / 4)  # a short life must not have its middle behind it at birth
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(until)
    )


def _until(signer: x509.Certificate, now: datetime, lifetime: timedelta) -> datetime:
    """Nothing is valid longer than what signed it."""
    return min(now + lifetime, signer.not_valid_after_utc)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_identifier(signer: ec.EllipticCurvePrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())


def _name(common: str) -> x509.Name:
    organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "meshwright")
    return x509.Name([organization, x509.NameAttribute(NameOID.COMMON_NAME, common[:64])])


def _first(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificates(pem)[0]


def _private_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key: PrivateKeyTypes = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("the key of an authority must be ECDSA")  # noqa: TRY004 - a value from a file
    return key


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption())


def _public(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
