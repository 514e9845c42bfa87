"""Istio's helloworld: says its version and the pod that answered."""

from __future__ import annotations

import os
import socket
import sys

from meshwright.images.server import Request, Response, port_argument, serve, text_response

PORT = 5000


class Helloworld:
    """The service."""

    def __init__(self, version: str, instance: str) -> None:
        self._text = f"Hello version: {version}, instance: {instance}\n"

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        if request.path == "/hello":
            return text_response(200, self._text)
        if request.path == "/health":
            return text_response(200, "Helloworld is healthy")
        return text_response(404, "there are /hello and /health\n")


def main() -> int:
    """Run the service; the first argument may be a port."""
    instance = os.environ.get("HOSTNAME") or socket.gethostname()
    service = Helloworld(os.environ.get("SERVICE_VERSION") or "unknown", instance)
    return serve(service.handle, "helloworld", port_argument(sys.argv[1:], PORT))


if __name__ == "__main__":
    sys.exit(main())
