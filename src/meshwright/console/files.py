"""The page's own files, read once: packed, and with a tag by which a browser knows that it has one already."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
_PACKING = 9


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file. `tag` is its ETag."""

    kind: str
    plain: bytes
    packed: bytes
    tag: str

    def answer(self, request: Request, headers: Mapping[str, str]) -> Response:
        """The file, or 304 for who has it; `headers` come along."""
        told = {**headers, "cache-control": "no-cache", "etag": self.tag, "vary": "accept-encoding"}
        if self.tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=told)
        told["content-type"] = self.kind
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(self.packed, headers={**told, "content-encoding": "gzip"})
        return Response(self.plain, headers=told)


def page_files() -> dict[str, PageFile]:
    """All files of the page by name."""
    found = (each for each in files("meshwright.console").joinpath("static").iterdir() if each.is_file())
    return {each.name: _page_file(each.name, each.read_bytes()) for each in found if _ending(each.name) in TYPES}


def _page_file(name: str, plain: bytes) -> PageFile:
    tag = f'"{hashlib.sha256(plain).hexdigest()[:20]}"'
    return PageFile(TYPES[_ending(name)], plain, gzip.compress(plain, _PACKING, mtime=0), tag)


def _ending(name: str) -> str:
    return name[name.rfind(".") :]
