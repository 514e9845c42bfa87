"""The file that makes kubectl, helm and libraries talk to this mesh."""

import base64
import json
from pathlib import Path

from meshwright.apiserver.access import write_private
from meshwright.apiserver.values import Json

NAME = "meshwright"


def kubeconfig(server: str, token: str, roots_pem: bytes, name: str = NAME) -> Json:
    """The content: one cluster at the URL `server`, one user with the token, one context."""
    cluster: Json = {"server": server}
    if roots_pem:
        cluster["certificate-authority-data"] = base64.b64encode(roots_pem).decode()
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": f"{name}-admin", "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": f"{name}-admin", "namespace": "default"}}],
        "current-context": name,
        "preferences": {},
    }


def write_kubeconfig(path: Path, server: str, token: str, roots_pem: bytes, name: str = NAME) -> None:
    """Written at once and only for its owner (0600): it holds the token. JSON is YAML too. Raises OSError."""
    write_private(path, json.dumps(kubeconfig(server, token, roots_pem, name), indent=2) + "\n")
