"""Bookinfo's details service: facts about one book; version 2 can look them up at an outside service."""

from __future__ import annotations

import json
import sys

from meshwright.images.bookinfo import common
from meshwright.images.client import Client, FetchError
from meshwright.images.server import Request, Response, json_response, port_argument, serve

_ISBN = "0486424618"
_LOOKUP_SECONDS = 5.0


def book(number: int) -> dict[str, object]:
    """The built-in facts; every number is the same book."""
    return {
        "id": number,
        "author": "William Shakespeare",
        "year": 1595,
        "type": "paperback",
        "pages": 200,
        "publisher": "PublisherA",
        "language": "English",
        "ISBN-10": "1234567890",
        "ISBN-13": "123-1234567890",
    }


class Details:
    """The service; `external` looks books up at www.googleapis.com, `plain` without encryption of our own."""

    def __init__(self, *, external: bool, plain: bool) -> None:
        self._external = external
        self._plain = plain
        self._client = Client()

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        if request.path == "/health":
            return common.health("Details")
        if not request.path.startswith("/details"):
            return common.not_found()
        if not common.reading(request):
            return common.wrong_method("GET")
        name = request.path.removeprefix("/details").strip("/")
        if not (name.isascii() and name.isdecimal() and len(name) < 19):
            return json_response(400, {"error": "please provide numeric product id"})
        number = int(name)
        if not self._external:
            return json_response(200, book(number))
        try:
            return json_response(200, self._look_up(number, request))
        except (FetchError, ValueError) as error:
            return json_response(500, {"error": f"the book service gave no answer: {error}"})

    def _look_up(self, number: int, request: Request) -> dict[str, object]:
        scheme = "http" if self._plain else "https"
        url = f"{scheme}://www.googleapis.com/books/v1/volumes?q=isbn:{_ISBN}"
        headers = common.forwarded(request, common.END_USER)
        reply = self._client.fetch(url, _LOOKUP_SECONDS, headers)
        if reply.status != 200:
            raise ValueError(f"status {reply.status}")
        return found(number, reply.body)


def found(number: int, body: bytes) -> dict[str, object]:
    """The facts in an answer of the outside service; ValueError when it holds no book."""
    try:
        info = json.loads(body)["items"][0]["volumeInfo"]
        identifiers = {each["type"]: each["identifier"] for each in info["industryIdentifiers"]}
        return {
            "id": number,
            "author": info["authors"][0],
            "year": info["publishedDate"],
            "type": "paperback" if info["printType"] == "BOOK" else "unknown",
            "pages": info["pageCount"],
            "publisher": info["publisher"],
            "language": "English" if info["language"] == "en" else "unknown",
            "ISBN-10": identifiers.get("ISBN_10"),
            "ISBN-13": identifiers.get("ISBN_13"),
        }
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"it holds no book ({error!r})") from error


def main() -> int:
    """Run the service; the first argument may be a port."""
    details = Details(external=common.enabled("ENABLE_EXTERNAL_BOOK_SERVICE"), plain=common.enabled("DO_NOT_ENCRYPT"))
    return serve(details.handle, "details", port_argument(sys.argv[1:], common.PORT))


if __name__ == "__main__":
    sys.exit(main())
