"""The answers of httpbin, one function for each first path segment, and the table of them."""

from __future__ import annotations

import base64
import binascii
import json
import os
import random
import socket
import time
from collections.abc import Callable, Iterator

from meshwright.images.http11 import head_bytes, is_token, parse_form, quote
from meshwright.images.httpbin_request import Asked
from meshwright.images.server import Response, json_response, text_response

Answer = Callable[[Asked, list[str]], Response]

_LONGEST_DELAY = 10.0
_MOST_BYTES = 100 * 1024
_MOST_LINES = 100
_MOST_HOPS = 50
_READ = ("GET", "HEAD")


class Route:
    """An answer and the methods it knows; none named means all."""

    __slots__ = ("answer", "methods")

    def __init__(self, answer: Answer, *methods: str) -> None:
        self.answer = answer
        self.methods = methods


def pretty(value: object, status: int = 200) -> Response:
    """JSON as people read it."""
    response = json_response(status, value, indent=2)
    response.body = bytes(response.body) + b"\n" if isinstance(response.body, bytes) else response.body
    return response


def number(text: str, least: int, most: int) -> int:
    """A whole number that is cut to the range; ValueError when the text is none."""
    if not text.isascii() or not text.removeprefix("-").isdecimal() or len(text) > 18:
        raise ValueError(f"not a whole number: {text!r}")
    return max(least, min(most, int(text)))


def duration(text: str) -> float:
    """`1`, `0.5`, `500ms`, `2s` in seconds, at most ten."""
    unit = 0.001 if text.endswith("ms") else 1.0
    try:
        seconds = float(text.removesuffix("ms").removesuffix("s")) * unit
    except ValueError:
        raise ValueError(f"not a duration: {text!r}") from None
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"not a duration: {text!r}")
    return min(seconds, _LONGEST_DELAY)


def first(parts: list[str]) -> str:
    """The segment after the first; ValueError when there is none."""
    if not parts or not parts[0]:
        raise ValueError("the path needs one more segment")
    return parts[0]


def front(_: Asked, __: list[str]) -> Response:
    """A page with what there is."""
    links = "\n".join(f"<li>/{name}</li>" for name in sorted(ROUTES) if name)
    page = f"<!DOCTYPE html><html lang='en'><title>httpbin</title><h1>httpbin</h1><ul>\n{links}\n</ul></html>\n"
    return text_response(200, page, "text/html; charset=utf-8")


def get(asked: Asked, _: list[str]) -> Response:
    """What was asked, without a body."""
    return pretty(asked.described())


def post(asked: Asked, _: list[str]) -> Response:
    """What was asked, with its body."""
    return pretty(asked.described() | asked.body())


def anything(asked: Asked, _: list[str]) -> Response:
    """What was asked, whatever it is."""
    return pretty(asked.described(method=True) | asked.body())


def headers(asked: Asked, _: list[str]) -> Response:
    """The header fields of the request."""
    return pretty({"headers": asked.headers()})


def ip(asked: Asked, _: list[str]) -> Response:
    """The address of the client."""
    return pretty({"origin": asked.origin()})


def user_agent(asked: Asked, _: list[str]) -> Response:
    """The User-Agent of the request."""
    return pretty({"user-agent": asked.request.headers.get("user-agent")})


def hostname(_: Asked, __: list[str]) -> Response:
    """The pod that answered."""
    return pretty({"hostname": os.environ.get("HOSTNAME") or socket.gethostname()})


def status(_asked: Asked, parts: list[str]) -> Response:
    """`/status/418`, or one of several with weights: `/status/200:0.9,503:0.1`."""
    codes: list[int] = []
    weights: list[float] = []
    for choice in first(parts).split(","):
        code, _, weight = choice.partition(":")
        codes.append(number(code.strip(), 0, 1000))
        weights.append(float(weight) if weight else 1.0)
    if not all(200 <= code <= 599 for code in codes):
        raise ValueError("a status is a number from 200 to 599")
    if not all(0 <= weight < float("inf") for weight in weights) or not sum(weights):
        raise ValueError("weights are positive numbers")
    code = random.choices(codes, weights)[0]
    fields: list[tuple[str, str]] = []
    if code in {301, 302, 303, 307, 308}:
        fields.append(("location", "/redirect/1"))
    if code == 401:
        fields.append(("www-authenticate", 'Basic realm="Fake Realm"'))
    return Response(code, b"", fields)


def unstable(asked: Asked, _parts: list[str]) -> Response:
    """Fails with the probability `failure_rate` (a half when absent)."""
    rate = float(asked.argument("failure_rate", "0.5"))
    if not 0 <= rate <= 1:
        raise ValueError("failure_rate is a number from 0 to 1")
    return Response(500 if random.random() < rate else 200)


def delay(asked: Asked, parts: list[str]) -> Response:
    """What was asked, after some seconds."""
    time.sleep(duration(first(parts)))
    return pretty(asked.described() | asked.body())


def json_page(_: Asked, __: list[str]) -> Response:
    """A piece of JSON."""
    slides = [{"title": "One process per pod", "type": "all"}, {"title": "One proxy beside it", "type": "all"}]
    return pretty({"slideshow": {"author": "meshwright", "title": "A mesh in two slides", "slides": slides}})


def html_page(_: Asked, __: list[str]) -> Response:
    """A piece of HTML."""
    text = "<!DOCTYPE html>\n<html lang='en'><title>A page</title><h1>A page</h1><p>Nothing more.</p></html>\n"
    return text_response(200, text, "text/html; charset=utf-8")


def _random(asked: Asked) -> random.Random:
    seed = asked.argument("seed")
    return random.Random(number(seed, -(2**60), 2**60)) if seed else random.Random()


def random_bytes(asked: Asked, parts: list[str]) -> Response:
    """So many random bytes; `seed` makes them the same each time."""
    body = _random(asked).randbytes(number(first(parts), 0, _MOST_BYTES))
    return Response(200, body, [("content-type", "application/octet-stream")])


def stream_bytes(asked: Asked, parts: list[str]) -> Response:
    """So many random bytes, in chunks of `chunk_size`."""
    body = _random(asked).randbytes(number(first(parts), 0, _MOST_BYTES))
    size = number(asked.argument("chunk_size", "10240"), 1, _MOST_BYTES)
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    return Response(200, pieces, [("content-type", "application/octet-stream")])


def stream(asked: Asked, parts: list[str]) -> Response:
    """So many lines of JSON, each in a chunk of its own."""
    count = number(first(parts), 0, _MOST_LINES)
    answer = asked.described(method=False)
    lines = ((json.dumps({"id": each} | answer) + "\n").encode() for each in range(count))
    return Response(200, lines, [("content-type", "application/json")])


def drip(asked: Asked, _parts: list[str]) -> Response:
    """Bytes that come slowly: `numbytes` within `duration` after `delay`, with the status `code`."""
    count = number(asked.argument("numbytes", "10"), 0, _MOST_BYTES)
    seconds = duration(asked.argument("duration", "2"))
    code = number(asked.argument("code", "200"), 200, 599)
    time.sleep(duration(asked.argument("delay", "2" if asked.classic else "0")))

    def pieces() -> Iterator[bytes]:
        for _ in range(count):
            yield b"*"
            time.sleep(seconds / count)

    fields = [("content-type", "application/octet-stream"), ("content-length", str(count))]
    return Response(code, pieces(), fields)


def _hop(asked: Asked, place: str, *, absolute: bool) -> Response:
    return Response(302, b"", [("location", (asked.base() if absolute else "") + place)])


def redirect(asked: Asked, parts: list[str]) -> Response:
    """So many redirects, then /get."""
    if asked.argument("absolute").lower() == "true":
        return absolute_redirect(asked, parts)
    return relative_redirect(asked, parts)


def relative_redirect(asked: Asked, parts: list[str]) -> Response:
    """So many redirects with a path as their place, then /get."""
    left = number(first(parts), 1, _MOST_HOPS) - 1
    return _hop(asked, f"/relative-redirect/{left}" if left else "/get", absolute=False)


def absolute_redirect(asked: Asked, parts: list[str]) -> Response:
    """So many redirects with a whole URL as their place, then /get."""
    left = number(first(parts), 1, _MOST_HOPS) - 1
    return _hop(asked, f"/absolute-redirect/{left}" if left else "/get", absolute=True)


def redirect_to(asked: Asked, _: list[str]) -> Response:
    """A redirect to `url` with `status_code`."""
    body = dict(parse_form(asked.request.body.decode("utf-8", "replace")))
    url = asked.argument("url") or body.get("url", "")
    code = number(asked.argument("status_code") or body.get("status_code", "302"), 0, 999)
    if not url or not 300 <= code <= 399:
        raise ValueError("url is required; status_code is a number from 300 to 399")
    return Response(code, b"", [("location", quote(url, ":/?#[]@!$&'()*+,;=%"))])


def response_headers(asked: Asked, _: list[str]) -> Response:
    """An answer with the header fields that the query names."""
    response = pretty(asked.values(asked.arguments()))
    for name, value in parse_form(asked.request.query):
        if not is_token(name):
            raise ValueError(f"not a header field: {name!r}")
        if name.lower() == "content-type":
            response.headers = [each for each in response.headers if each[0] != "content-type"]
        if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
            response.headers.append((name, value))
    return response


def cookies(asked: Asked, parts: list[str]) -> Response:
    """The cookies; `/cookies/set?name=value` and `/cookies/delete?name` change them."""
    if not parts:
        return pretty({"cookies": asked.cookies()})
    pairs = parse_form(asked.request.query)
    if parts[0] == "set" and len(parts) == 3:
        pairs = [(parts[1], parts[2])]
    ends = "" if parts[0] == "set" else "; Max-Age=0"
    fields = [("location", "/cookies")]
    fields += [
        ("set-cookie", f"{quote(name)}={quote(value) if not ends else ''}; Path=/{ends}") for name, value in pairs
    ]
    return Response(302, b"", fields)


def _credentials(asked: Asked) -> str:
    scheme, _, value = asked.request.headers.get("authorization").partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""


def basic_auth(asked: Asked, parts: list[str]) -> Response:
    """Asks for the user and password of the path."""
    if len(parts) != 2:
        raise ValueError("the path is /basic-auth/USER/PASSWORD")
    fine = _credentials(asked) == f"{parts[0]}:{parts[1]}"
    answer: dict[str, object] = {"authenticated": fine, "user": parts[0] if fine else ""}
    if not asked.classic:
        answer["authorized"] = fine
    response = pretty(answer, 200 if fine else 401)
    if not fine:
        response.headers.append(("www-authenticate", 'Basic realm="Fake Realm"'))
    return response


def hidden_basic_auth(asked: Asked, parts: list[str]) -> Response:
    """As /basic-auth, but 404 instead of 401."""
    response = basic_auth(asked, parts)
    return response if response.status == 200 else pretty({"status_code": 404, "error": "Not Found"}, 404)


def bearer(asked: Asked, _parts: list[str]) -> Response:
    """Asks for any bearer token."""
    scheme, _, token = asked.request.headers.get("authorization").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        return Response(401, b"", [("www-authenticate", "Bearer")])
    return pretty({"authenticated": True, "token": token.strip()})


def gzip(asked: Asked, _: list[str]) -> Response:
    """What was asked, compressed with gzip."""
    return _compressed(asked, "gzip", "gzipped", 31)


def deflate(asked: Asked, _: list[str]) -> Response:
    """What was asked, compressed with deflate."""
    return _compressed(asked, "deflate", "deflated", 15)


def _compressed(asked: Asked, coding: str, flag: str, window: int) -> Response:
    import zlib  # only here

    response = pretty(asked.described(method=True) | {flag: True})
    packer = zlib.compressobj(wbits=window)
    body = response.body if isinstance(response.body, bytes) else b""
    response.body = packer.compress(body) + packer.flush()
    response.headers += [("content-encoding", coding), ("vary", "Accept-Encoding")]
    return response


def uuid(_: Asked, __: list[str]) -> Response:
    """A random UUID (version 4)."""
    raw = bytearray(os.urandom(16))
    raw[6], raw[8] = raw[6] & 0x0F | 0x40, raw[8] & 0x3F | 0x80
    text = raw.hex()
    parts = (text[:8], text[8:12], text[12:16], text[16:20], text[20:])
    return pretty({"uuid": "-".join(parts)})


def base64_text(_asked: Asked, parts: list[str]) -> Response:
    """Decodes the path: `/base64/VALUE`, `/base64/decode/VALUE`; or `/base64/encode/TEXT`."""
    value = parts[-1] if parts else ""
    if len(parts) == 2 and parts[0] == "encode":
        return text_response(200, base64.urlsafe_b64encode(value.encode()).decode())
    try:
        raw = base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("this is not base64") from None
    return Response(200, raw, [("content-type", "text/plain; charset=utf-8")])


def etag(asked: Asked, parts: list[str]) -> Response:
    """Answers under the entity tag of the path, with the conditions of HTTP."""
    tag = f'"{first(parts)}"'
    tags = {each.strip().removeprefix("W/") for each in asked.request.headers.get("if-none-match").split(",")}
    wanted = {each.strip() for each in asked.request.headers.get("if-match").split(",") if each.strip()}
    if tags & {tag, "*"}:
        return Response(304, b"", [("etag", tag)])
    if wanted and not wanted & {tag, "*"}:
        return Response(412, b"", [("etag", tag)])
    response = pretty(asked.described())
    response.headers.append(("etag", tag))
    return response


def cache(asked: Asked, parts: list[str]) -> Response:
    """304 for a conditional request; `/cache/60` allows keeping the answer for a minute."""
    if parts:
        response = pretty(asked.described())
        seconds = number(parts[0], 0, 10**9)
        response.headers.append(("cache-control", f"public, max-age={seconds}"))
        return response
    if "if-modified-since" in asked.request.headers or "if-none-match" in asked.request.headers:
        return Response(304)
    response = pretty(asked.described())
    fields = [("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT"), ("etag", '"meshwright"')]
    response.headers += fields
    return response


def robots(_: Asked, __: list[str]) -> Response:
    """Rules for crawlers."""
    return text_response(200, "User-agent: *\nDisallow: /deny\n")


def deny(_: Asked, __: list[str]) -> Response:
    """A page that crawlers are told not to read."""
    return text_response(200, "Crawlers were asked not to come here.\n")


def dump(asked: Asked, _: list[str]) -> Response:
    """The request as it came."""
    request = asked.request
    head = head_bytes(f"{request.method} {request.target} HTTP/1.1", request.headers.items)
    return Response(200, head + request.body, [("content-type", "text/plain; charset=utf-8")])


ROUTES: dict[str, Route] = {
    "": Route(front, *_READ),
    "get": Route(get, *_READ),
    "head": Route(get, "HEAD"),
    "post": Route(post, "POST"),
    "put": Route(post, "PUT"),
    "patch": Route(post, "PATCH"),
    "delete": Route(post, "DELETE"),
    "anything": Route(anything),
    "headers": Route(headers, *_READ),
    "ip": Route(ip, *_READ),
    "user-agent": Route(user_agent, *_READ),
    "hostname": Route(hostname, *_READ),
    "status": Route(status),
    "unstable": Route(unstable),
    "delay": Route(delay),
    "json": Route(json_page, *_READ),
    "html": Route(html_page, *_READ),
    "bytes": Route(random_bytes, *_READ),
    "stream-bytes": Route(stream_bytes, *_READ),
    "stream": Route(stream, *_READ),
    "drip": Route(drip, *_READ),
    "redirect": Route(redirect, *_READ),
    "relative-redirect": Route(relative_redirect, *_READ),
    "absolute-redirect": Route(absolute_redirect, *_READ),
    "redirect-to": Route(redirect_to),
    "response-headers": Route(response_headers, "GET", "HEAD", "POST"),
    "cookies": Route(cookies, *_READ),
    "basic-auth": Route(basic_auth, *_READ),
    "hidden-basic-auth": Route(hidden_basic_auth, *_READ),
    "bearer": Route(bearer, *_READ),
    "gzip": Route(gzip, *_READ),
    "deflate": Route(deflate, *_READ),
    "uuid": Route(uuid, *_READ),
    "base64": Route(base64_text, *_READ),
    "etag": Route(etag, *_READ),
    "cache": Route(cache, *_READ),
    "robots.txt": Route(robots, *_READ),
    "deny": Route(deny, *_READ),
    "dump": Route(dump),
}
"""Answers by the first segment of the path."""
