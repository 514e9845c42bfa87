"""Redirects that the proxy answers itself."""

from dataclasses import dataclass
from enum import StrEnum


class DerivePort(StrEnum):
    """Which port stands in the Location header when none is given."""

    FROM_PROTOCOL_DEFAULT = "FROM_PROTOCOL_DEFAULT"
    FROM_REQUEST_PORT = "FROM_REQUEST_PORT"


@dataclass(frozen=True, slots=True)
class Redirect:
    """`uri` replaces the path, or `prefix_rewrite` the matched prefix; `code` is 301, 302, 303, 307 or 308."""

    uri: str | None = None
    prefix_rewrite: str | None = None
    authority: str | None = None
    scheme: str | None = None
    port: int | None = None
    derive_port: DerivePort | None = None
    code: int = 301
