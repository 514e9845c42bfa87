"""What a request to httpbin says, in the JSON that httpbin's users know."""

from __future__ import annotations

import base64
import json

from meshwright.images.http11 import parse_form
from meshwright.images.server import Request

Values = dict[str, list[str]]


class Asked:
    """One request and the views of it that answers need."""

    __slots__ = ("_classic", "request")

    def __init__(self, request: Request, *, classic: bool) -> None:
        self.request = request
        self._classic = classic

    @property
    def classic(self) -> bool:
        """Whether values are strings (the older httpbin) instead of lists."""
        return self._classic

    def values(self, values: Values) -> dict[str, object]:
        """Names and values as this flavour writes them."""
        if not self._classic:
            return {**values}
        return {name: each[0] if len(each) == 1 else each for name, each in values.items()}

    def argument(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        return next((value for key, value in parse_form(self.request.query) if key == name), default)

    def arguments(self) -> Values:
        """The query parameters."""
        return grouped(parse_form(self.request.query))

    def headers(self) -> dict[str, object]:
        """The header fields under their customary spelling."""
        items = [(canonical(name), value) for name, value in self.request.headers.items]
        values = grouped(items)
        if self._classic:
            return {name: ",".join(each) for name, each in values.items()}
        return {**values}

    def origin(self) -> str:
        """The client's address, from X-Forwarded-For when a proxy set it."""
        forwarded = self.request.headers.get("x-forwarded-for")
        if self._classic:
            return forwarded or self.request.peer
        return forwarded.partition(",")[0].strip() or self.request.peer

    def base(self) -> str:
        """Scheme and host that the client used."""
        scheme = self.request.headers.get("x-forwarded-proto") or "http"
        return f"{scheme}://{self.request.headers.get('host')}"

    def url(self) -> str:
        """The URL that the client used."""
        target = self.request.target
        return target if "://" in target else self.base() + target

    def cookies(self) -> dict[str, str]:
        """The cookies of the request."""
        pairs = ";".join(self.request.headers.all("cookie")).split(";")
        cut = [pair.strip().partition("=") for pair in pairs if "=" in pair]
        return {name: value for name, _, value in cut}

    def described(self, *, method: bool | None = None) -> dict[str, object]:
        """What every such answer has: args, headers, origin, url (and the method)."""
        answer: dict[str, object] = {"args": self.values(self.arguments()), "headers": self.headers()}
        if method or (method is None and not self._classic):
            answer["method"] = self.request.method
        return answer | {"origin": self.origin(), "url": self.url()}

    def body(self) -> dict[str, object]:
        """What the body holds: data, files, form, json."""
        kind, _, options = self.request.headers.get("content-type").partition(";")
        raw = self.request.body
        empty: dict[str, object] = {"data": "", "files": {}, "form": {}, "json": None}
        match kind.strip().lower():
            case "application/x-www-form-urlencoded":
                form = grouped(parse_form(raw.decode("utf-8", "replace")))
                return empty | {"form": self.values(form), "data": "" if self._classic else raw.decode("latin-1")}
            case "multipart/form-data":
                form, files = multipart(raw, options)
                return empty | {"form": self.values(form), "files": self.values(files)}
            case _:
                return empty | {"data": self._text(raw, kind), "json": parsed(raw)}

    def _text(self, raw: bytes, kind: str) -> str:
        try:
            return raw.decode()
        except UnicodeDecodeError:
            name = kind.strip() or "application/octet-stream"
            return f"data:{name};base64,{base64.b64encode(raw).decode()}"


def grouped(pairs: list[tuple[str, str]]) -> Values:
    """Pairs to lists by name."""
    values: Values = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return values


def canonical(name: str) -> str:
    """`x-request-id` as `X-Request-Id`."""
    return "-".join(part[:1].upper() + part[1:].lower() for part in name.split("-"))


def parsed(raw: bytes) -> object:
    """The JSON in a body, or None when it holds none."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def multipart(raw: bytes, options: str) -> tuple[Values, Values]:
    """Fields and files of a multipart form; ValueError when it has no boundary."""
    boundary = _option(options, "boundary")
    if not boundary:
        raise ValueError("the multipart body has no boundary")
    form: list[tuple[str, str]] = []
    files: list[tuple[str, str]] = []
    for part in raw.split(b"--" + boundary.encode("latin-1"))[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        for line in head.decode("latin-1").split("\r\n"):
            field, _, value = line.partition(":")
            if field.strip().lower() == "content-disposition":
                target = files if _option(value, "filename") else form
                target.append((_option(value, "name"), content.removesuffix(b"\r\n").decode("utf-8", "replace")))
    return grouped(form), grouped(files)


def _option(text: str, name: str) -> str:
    """`name=value` or `name="value"` among parts that semicolons separate."""
    for part in text.split(";"):
        key, _, value = part.strip().partition("=")
        if key.lower() == name:
            return value.strip().strip('"')
    return ""
