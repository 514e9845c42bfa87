"""The secrets of a mesh, so that none of them gets into a report."""

from collections.abc import Iterator

from meshwright.cli.report.scrubbing import Scrubber
from meshwright.cli.report.stored import pieces_of_pem, secret_values
from meshwright.processes.state import DataDirectory
from meshwright.wiring.local_mesh import LocalMesh

FOLDERS = ("api", "ca", "leaves")
"""Of the data directory: keys, tokens and certificates."""


def scrubber(mesh: LocalMesh) -> Scrubber:
    """What takes this mesh's secrets out: its keys and tokens, and the data of its Secrets."""
    values, names = secret_values(mesh)
    return Scrubber([*_of_files(mesh.data), *values], names)


def _of_files(data: DataDirectory) -> Iterator[str]:
    places = [data.console_token, *(path for name in FOLDERS for path in sorted((data.root / name).glob("*")))]
    for path in places:
        try:
            yield from pieces_of_pem(path.read_text())
        except (OSError, ValueError):
            continue  # not there, or not ours to read: then nobody puts it into a report either
