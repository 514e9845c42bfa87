"""More than 40 mistaken documents beside Bookinfo: each is named with its fix, and the rest of the mesh starts."""

import re
from pathlib import Path

import pytest

from meshwright.documents.reader import read
from meshwright.model.origin import ObjectRef
from meshwright.wiring.local_mesh import DEMO_SAMPLES, samples_folder
from tests.slow.bookinfo import bookinfo_mesh, page

NAME = re.compile(r"^(  name: )([a-z][a-z0-9-]*)$", re.MULTILINE)
FOLDER = Path(__file__).parents[1] / "kinds" / "mistakes"


def mistakes(folder: Path) -> list[Path]:
    """Copies of the mistaken documents, each with a name of its own where that can be given (a finding about an
    object that two documents declare names the first of them); those that still clash are left out.
    """
    taken: set[ObjectRef] = set()
    chosen: list[Path] = []
    for number, path in enumerate(sorted(FOLDER.glob("*/in.*"))):
        text = NAME.sub(rf"\g<1>\g<2>-{number}", path.read_text(), count=1)
        declared = {document.ref for document in read(text, str(path)).documents}
        if not declared & taken:
            taken |= declared
            chosen.append(folder / f"{path.parent.name}{path.suffix}")
            chosen[-1].write_text(text)
    return chosen


@pytest.mark.timeout(240)
def test_every_mistake_is_named_and_bookinfo_serves() -> None:
    with bookinfo_mesh() as mesh:
        chosen = mistakes(mesh.programs)
        assert len(chosen) >= 40
        samples = [samples_folder() / name for name in DEMO_SAMPLES]
        words = [word for path in (*samples, *chosen) for word in ("-f", str(path))]
        ports = ["--http-port", str(mesh.host_port), "--https-port", str(mesh.host_tls_port)]
        ports += ["--api-port", str(mesh.api_port)]
        done = mesh.run("up", "--detach", "--profile", "demo", *ports, *words, check=False)
        assert "Traceback" not in done.stderr
        silent = [path for path in chosen if not any(_names(line, path) for line in done.stderr.splitlines())]
        assert silent == []
        assert page(mesh.host_port)[0] == 200


def _names(line: str, path: Path) -> bool:
    """Whether a line of the output is about that file, with a line number and a fix."""
    return line.startswith(f"{path}:") and "Fix: " in line
