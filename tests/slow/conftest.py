"""The mesh under load that several slow tests change: each module has one of its own."""

import contextlib
from collections.abc import Generator, Mapping

import pytest

from tests.live.mesh import Mesh
from tests.slow.load.world import Api, loaded_mesh


@pytest.fixture(scope="module")
def environment() -> Mapping[str, str]:
    """What is said to the mesh when it starts; for modules to say otherwise."""
    return {}


@pytest.fixture(scope="module")
def mesh(environment: Mapping[str, str]) -> Generator[Mesh]:
    """The workloads of load/mesh.yaml."""
    with loaded_mesh(environment) as made:
        yield made


@pytest.fixture
def api(mesh: Mesh) -> Generator[Api]:
    """Its object API, as the administrator."""
    with contextlib.closing(Api(mesh)) as made:
        yield made
