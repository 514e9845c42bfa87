"""Changes to path and authority on the way to the destination."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RegexRewrite:
    """RE2 `match` over the path and its substitution."""

    match: str
    rewrite: str


@dataclass(frozen=True, slots=True)
class Rewrite:
    """`uri` replaces the matched prefix (or the whole path of an exact match)."""

    uri: str | None = None
    authority: str | None = None
    uri_regex: RegexRewrite | None = None
