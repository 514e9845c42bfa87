"""Requests for certificates (PKCS #10): the key is made where it is used, and only its public half travels.

Import it where it is used (cryptography is heavy).
"""

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from meshwright.ca.certificates import SMALLEST_RSA

LONGEST = 16_384  # bytes of a request
CURVES = (ec.SECP256R1, ec.SECP384R1)


class RequestError(ValueError):
    """A request that is not signed; the text says why."""


def new_request(uri: str) -> tuple[bytes, bytes]:
    """A new key, and a request for the identity `uri` by it: (request, key), both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), critical=True)
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return request.public_bytes(serialization.Encoding.PEM), key_pem


def key_of_request(csr_pem: bytes, uri: str) -> CertificatePublicKeyTypes:
    """The key of a request for exactly the identity `uri`, made by who has that key.

    Nothing else of a request is ever taken over into a certificate. Raises RequestError.
    """
    if len(csr_pem) > LONGEST:
        raise RequestError(f"a request of {len(csr_pem)} bytes")
    try:
        request = x509.load_pem_x509_csr(csr_pem)
        names = list(request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
        key = request.public_key()
        genuine = request.is_signature_valid
    except x509.ExtensionNotFound:
        raise RequestError("it asks for no identity") from None
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        raise RequestError(f"it cannot be read: {error}") from None
    if not genuine:
        raise RequestError("it is not signed by its own key")
    if names != [x509.UniformResourceIdentifier(uri)]:
        asked = ", ".join(repr(str(name.value)) for name in names)[:300]  # strangers' words, on one line
        raise RequestError(f"it asks for {asked}, and the pod is {uri}")
    _refuse_weak(key)
    return key


def _refuse_weak(key: CertificatePublicKeyTypes) -> None:
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < SMALLEST_RSA:
            raise RequestError(f"its RSA key has {key.key_size} bits, fewer than {SMALLEST_RSA}")
    elif not (isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, CURVES)):
        raise RequestError("its key is neither RSA nor ECDSA on a curve that is taken")
