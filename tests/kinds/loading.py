"""Short ways to read documents in tests."""

from meshwright.documents.reader import read
from meshwright.kinds.objects import Loaded, read_objects

NETWORKING = "networking.istio.io/v1"


def load(*texts: str) -> Loaded:
    """Each text as a file of its own."""
    return read_objects(read(text, f"{index}.yaml") for index, text in enumerate(texts))


def good(*texts: str) -> Loaded:
    """The same, and nothing may be wrong."""
    loaded = load(*texts)
    assert [(finding.message, finding.origin.path) for finding in loaded.diagnostics] == []
    return loaded


def document(kind: str, spec: str, *, api_version: str = NETWORKING, metadata: str = "{name: x}") -> str:
    """A document with a spec in flow style."""
    return f"apiVersion: {api_version}\nkind: {kind}\nmetadata: {metadata}\nspec: {spec}\n"
