"""One mesh for all live tests: real Envoys, real namespaces, every feature's configuration at once."""

import shutil
from collections.abc import Iterator

import pytest

from tests.live.mesh import CONFIGS, Mesh, certificates, fill_in, new_mesh


@pytest.fixture(scope="session")
def mesh() -> Iterator[Mesh]:
    """The shared mesh, in the best rung that this machine has. It fails, and does not skip, where there is none."""
    made = new_mesh()
    try:
        names = ["shop.example.com", "secure.example.com", "secure-outside.example.com"]
        values = certificates(made.programs, names)
        print(made.up(fill_in(made, sorted(path.stem for path in CONFIGS.glob("*.yaml")), values)))
        yield made
    finally:
        made.run("down", "--purge", check=False)
        shutil.rmtree(made.programs.parent, ignore_errors=True)
