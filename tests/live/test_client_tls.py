"""DestinationRule trafficPolicy.tls SIMPLE: the application speaks HTTP, its proxy TLS."""

from tests.live.mesh import Mesh


def test_tls_origination_with_checked_certificate_and_sni(mesh: Mesh) -> None:
    answer = mesh.one("http://secure-outside.example.com/")
    assert (answer.status, answer.body) == (200, "secure-outside.example.com")
