"""A backend that answers every request with 500: `faulty.py PORT`."""

import sys

from meshwright.images.server import Request, Response, json_response, serve


def handle(_request: Request) -> Response:
    return json_response(500, {"version": "faulty"})


if __name__ == "__main__":
    sys.exit(serve(handle, "faulty", int(sys.argv[1])))
