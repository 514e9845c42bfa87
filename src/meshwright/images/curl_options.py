"""The command line of our curl: options, their short forms, and what they collect."""

from __future__ import annotations

import json
import sys

from meshwright.images.http11 import quote

FLAGS = {
    "-s": "silent",
    "-S": "show-error",
    "-i": "include",
    "-I": "head",
    "-v": "verbose",
    "-L": "location",
    "-k": "insecure",
    "-f": "fail",
    "-G": "get",
    "-g": "globoff",
    "-N": "no-buffer",
    "-O": "remote-name",
    "-V": "version",
    "-h": "help",
    "-4": "ipv4",
    "-6": "ipv6",
    "-#": "progress-bar",
    "-q": "disable",
}
"""Options without a value, by their letter."""
MORE_FLAGS = frozenset(
    {
        "compressed",
        "fail-with-body",
        "http1.1",
        "http2",
        "location-trusted",
        "no-keepalive",
        "no-progress-meter",
        "path-as-is",
        "post301",
        "post302",
        "post303",
        "retry-all-errors",
        "retry-connrefused",
        "tcp-nodelay",
        "tlsv1.2",
        "tlsv1.3",
    }
)
"""Options without a value that have no letter; some change nothing here."""
VALUES = {
    "-X": "request",
    "-H": "header",
    "-d": "data",
    "-o": "output",
    "-w": "write-out",
    "-m": "max-time",
    "-u": "user",
    "-A": "user-agent",
    "-e": "referer",
    "-b": "cookie",
    "-x": "proxy",
    "-D": "dump-header",
    "-F": "form",
    "-E": "cert",
}
"""Options with a value, by their letter."""
MORE_VALUES = frozenset(
    {
        "cacert",
        "connect-timeout",
        "connect-to",
        "data-ascii",
        "data-binary",
        "data-raw",
        "data-urlencode",
        "json",
        "key",
        "max-redirs",
        "noproxy",
        "oauth2-bearer",
        "resolve",
        "retry",
        "retry-delay",
        "url",
    }
)
"""Options with a value that have no letter."""

_FLAG_NAMES = frozenset(FLAGS.values()) | MORE_FLAGS
_VALUE_NAMES = frozenset(VALUES.values()) | MORE_VALUES
_DATA = ("data", "data-ascii", "data-raw", "data-binary", "data-urlencode", "json")


class CurlError(Exception):
    """The transfer failed; `code` is curl's exit code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Options:
    """What the command line asks for."""

    def __init__(self) -> None:
        self.flags: set[str] = set()
        self.values: dict[str, list[str]] = {}
        self.urls: list[str] = []
        self.data: list[tuple[str, str]] = []

    def last(self, name: str, default: str = "") -> str:
        """The value that was given last."""
        return self.values.get(name, [default])[-1]

    def number(self, name: str, default: float) -> float:
        """A value as a number; exit code 2 when it is none."""
        text = self.last(name)
        if not text:
            return default
        try:
            number = float(text)
        except ValueError:
            number = -1.0
        if not 0 <= number < float("inf"):
            raise CurlError(2, f"option --{name}: expected a proper numerical parameter")
        return number

    def all(self, name: str) -> list[str]:
        """Every value in order."""
        return self.values.get(name, [])


def parse(words: list[str]) -> Options:
    """The options of a command line; a word that curl would not take is exit code 2."""
    options = Options()
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            options.urls += rest
            break
        if word.startswith("--"):
            _long(options, word[2:], rest)
        elif word.startswith("-") and word != "-":
            _letters(options, word[1:], rest)
        else:
            options.urls.append(word)
    options.urls += options.all("url")
    return options


def _long(options: Options, name: str, rest: list[str]) -> None:
    if name in _VALUE_NAMES:
        _give(options, name, rest)
    elif name in _FLAG_NAMES:
        options.flags.add(name)
    elif name.startswith("no-") and name[3:] in _FLAG_NAMES:
        options.flags.discard(name[3:])
    else:
        raise CurlError(2, f"option --{name}: is unknown")


def _letters(options: Options, letters: str, rest: list[str]) -> None:
    """`-sS`, `-ofile`, `-so file`: letters up to the first that takes a value."""
    for index, letter in enumerate(letters):
        option = "-" + letter
        if option in FLAGS:
            options.flags.add(FLAGS[option])
        elif option in VALUES:
            attached = letters[index + 1 :]
            _give(options, VALUES[option], [attached] if attached else rest)
            return
        else:
            raise CurlError(2, f"option {option}: is unknown")


def _give(options: Options, name: str, rest: list[str]) -> None:
    if not rest:
        raise CurlError(2, f"option --{name}: requires parameter")
    value = rest.pop(0)
    options.values.setdefault(name, []).append(value)
    if name in _DATA:
        options.data.append((name, value))


def read_file(name: str) -> bytes:
    """The bytes of a file, `-` is standard input; exit code 26 when it cannot be read."""
    try:
        if name == "-":
            return sys.stdin.buffer.read()
        with open(name, "rb") as file:  # noqa: PTH123 - pathlib costs a MiB
            return file.read()
    except OSError as error:
        raise CurlError(26, f"Failed to open {name}: {error.strerror}") from error


def body_of(options: Options) -> tuple[bytes | None, str]:
    """The request body and its content type; None when there is none."""
    if options.all("form"):
        return _multipart(options.all("form"))
    if not options.data:
        return None, ""
    kind = "application/json" if any(name == "json" for name, _ in options.data) else ""
    parts = [_datum(name, value) for name, value in options.data]
    joint = b"" if kind else b"&"
    return joint.join(parts), kind or "application/x-www-form-urlencoded"


def _datum(name: str, value: str) -> bytes:
    if name == "data-urlencode":
        key, equals, text = value.partition("=")
        return (f"{key}=" if equals and key else "").encode() + quote(text if equals else key).encode()
    if name == "data-raw" or not value.startswith("@"):
        return value.encode()
    content = read_file(value[1:])
    if name in {"data-binary", "json"}:
        return content
    return content.replace(b"\r", b"").replace(b"\n", b"")


def _multipart(fields: list[str]) -> tuple[bytes, str]:
    boundary = "------------------------meshwright7f3a9c51"
    out = bytearray()
    for item in fields:
        name, _, value = item.partition("=")
        disposition = f"form-data; name={json.dumps(name)}"
        content = value.encode()
        if value.startswith(("@", "<")):
            file = value[1:].partition(";")[0]
            content = read_file(file)
            if value.startswith("@"):
                disposition += f"; filename={json.dumps(file.rpartition('/')[2])}"
        out += f"--{boundary}\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + content + b"\r\n"
    out += f"--{boundary}--\r\n".encode()
    return bytes(out), f"multipart/form-data; boundary={boundary}"
