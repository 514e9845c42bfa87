"""Traffic that leaves the mesh: known hosts, unknown hosts, and REGISTRY_ONLY."""

from collections.abc import Iterator

import pytest

from tests.live.mesh import Mesh, certificates, fill_in, own_mesh

REGISTRY_ONLY = "outboundTrafficPolicy: {mode: REGISTRY_ONLY}"


@pytest.fixture(scope="module")
def closed_mesh() -> Iterator[Mesh]:
    with own_mesh() as made:
        files = fill_in(made, ["base", "egress"])
        files[0].write_text(files[0].read_text().replace("accessLogFile: /dev/stdout", REGISTRY_ONLY))
        certificates(made.programs, ["outside.example.com"])
        made.up(files, profile="minimal")
        yield made


def test_a_declared_host_is_reached(mesh: Mesh) -> None:
    assert mesh.one("http://outside.example.com/").version == "outside"


def test_an_undeclared_address_is_reached_by_default(mesh: Mesh) -> None:
    assert mesh.one("http://10.244.250.10:8000/").version == "outside"


@pytest.mark.timeout(180)
def test_registry_only_refuses_what_is_not_declared(closed_mesh: Mesh) -> None:
    assert closed_mesh.one("http://outside.example.com/").version == "outside"
    refused = closed_mesh.one("http://10.244.250.10:8000/")
    assert refused.status in (0, 502)
    assert closed_mesh.one("http://echo:8000/").status == 200
