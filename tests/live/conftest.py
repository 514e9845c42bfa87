"""One mesh for all live tests: real Envoys, real namespaces, every feature's configuration at once."""

from collections.abc import Iterator

import pytest

from tests.live.mesh import CONFIGS, Mesh, certificates, fill_in, own_mesh


@pytest.fixture(scope="session")
def mesh() -> Iterator[Mesh]:
    """The shared mesh, in the best rung that this machine has. It fails, and does not skip, where there is none."""
    with own_mesh() as made:
        names = ["shop.example.com", "secure.example.com", "secure-outside.example.com"]
        values = certificates(made.programs, names)
        print(made.up(fill_in(made, sorted(path.stem for path in CONFIGS.glob("*.yaml")), values)))
        yield made
