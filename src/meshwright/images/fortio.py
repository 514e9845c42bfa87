"""fortio, as far as Istio's tasks use it: `load` (how many calls got which code), `curl`, and `server` (an echo)."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections import Counter

from meshwright.images.client import Client, FetchError, Url
from meshwright.images.server import Request, Response, serve

PORT = 8080
_FLAGS = frozenset({"quiet", "k", "a", "allow-initial-errors", "stdclient", "H2", "h2"})
"""Flags without a value; all others have one."""
_PERCENTILES = (50.0, 75.0, 90.0, 99.0, 99.9)
_NO_ANSWER = -1  # the code of calls that got none, as the original counts them
_USAGE = "usage: fortio load|curl|server [-c N] [-qps N] [-n N | -t 5s] [-H 'name: value'] [-timeout 3s] [URL]\n"


class UsageError(Exception):
    """The words of the command line mean nothing; the text says which."""


class Options:
    """What the words say: flags by name (the last one of each), headers, and the rest."""

    def __init__(self, words: list[str]) -> None:
        self.values: dict[str, str] = {}
        self.headers: list[tuple[str, str]] = []
        self.rest: list[str] = []
        left = iter(words)
        for word in left:
            name, equals, value = word.lstrip("-").partition("=")
            if not word.startswith("-"):
                self.rest.append(word)
            elif name in _FLAGS:
                self.values[name] = value or "true"
            else:
                self._take(name, value if equals else next(left, ""))

    def _take(self, name: str, value: str) -> None:
        if name == "H":
            field, colon, text = value.partition(":")
            if not colon:
                raise UsageError(f"-H {value}: write 'name: value'")
            self.headers.append((field.strip(), text.strip()))
        else:
            self.values[name] = value

    def number(self, name: str, default: float) -> float:
        """Raises UsageError for what is no number."""
        try:
            return float(self.values.get(name, default))
        except ValueError:
            raise UsageError(f"-{name} {self.values[name]}: not a number") from None

    def seconds(self, name: str, default: float) -> float:
        """A duration such as 500ms, 5s, 1m. Raises UsageError."""
        text = self.values.get(name)
        if text is None:
            return default
        for unit, factor in (("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)):
            if text.endswith(unit) and text.removesuffix(unit).replace(".", "", 1).isdecimal():
                return float(text.removesuffix(unit)) * factor
        raise UsageError(f"-{name} {text}: not a duration (500ms, 5s, 1m)")

    @property
    def url(self) -> str:
        """The one URL. Raises UsageError."""
        if len(self.rest) != 1:
            raise UsageError("give one URL")
        text = self.rest[0] if "://" in self.rest[0] else f"http://{self.rest[0]}"
        try:
            Url(text)
        except ValueError as error:
            raise UsageError(str(error)) from None
        return text


class Load:
    """Calls from several connections at once, at most so many a second (0: as fast as they go)."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.url = options.url
        self.connections = max(1, int(options.number("c", 4)))
        self.rate = options.number("qps", 8)
        self.calls = max(0, int(options.number("n", 0)))
        self._timeout = options.seconds("timeout", 3.0)
        self._for = options.seconds("t", 5.0) if not self.calls else math.inf
        self._lock = threading.Lock()
        self._begun = 0
        self.codes: Counter[int] = Counter()
        self.times: list[float] = []

    def run(self) -> float:
        """Until all calls are made or the time is over; how long it took, in seconds."""
        start = time.monotonic()
        threads = [threading.Thread(target=self._calls, args=(start,)) for _ in range(self.connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.monotonic() - start

    def _next(self, start: float) -> float | None:
        """When the next call is due; None when there is none."""
        with self._lock:
            number = self._begun
            due = start + number / self.rate if self.rate > 0 else time.monotonic()
            if (self.calls and number >= self.calls) or due - start >= self._for:
                return None
            self._begun += 1
            return due

    def _calls(self, start: float) -> None:
        client = Client()
        while (due := self._next(start)) is not None:
            time.sleep(max(0.0, due - time.monotonic()))
            begun = time.monotonic()
            try:
                code = client.fetch(self.url, self._timeout, self._options.headers).status
            except FetchError:
                code = _NO_ANSWER
            took = time.monotonic() - begun
            with self._lock:
                self.codes[code] += 1
                self.times.append(took)
        client.close()


def report(load: Load, seconds: float) -> str:
    """What the original prints at its end, line by line where scripts read it."""
    times = sorted(load.times)
    total = len(times)
    rate = total / seconds if seconds else 0.0
    lines = [f"Ended after {seconds:.6g}s : {total} calls. qps={rate:.5g}"]
    if times:
        mean = sum(times) / total
        lines.append(
            f"Aggregated Function Time : count {total} avg {mean:.6g} min {times[0]:.6g} max {times[-1]:.6g}"
        )
        places = [(share, times[min(total - 1, math.ceil(total * share / 100) - 1)]) for share in _PERCENTILES]
        lines += [f"# target {share:g}% {value:.6g}" for share, value in places]
        lines += [
            f"Code {code:3} : {count} ({count * 100 / total:.1f} %)" for code, count in sorted(load.codes.items())
        ]
        lines.append(f"All done {total} calls (plus 0 warmup) {mean * 1000:.3f} ms avg, {rate:.1f} qps")
    return "\n".join(lines) + "\n"


def load(options: Options) -> int:
    """`fortio load URL`."""
    asked = Load(options)
    limit = f"for {asked.calls} calls" if asked.calls else f"for {options.values.get('t', '5s')}"
    sys.stdout.write(f"Fortio (meshwright) running at {asked.rate:g} queries per second, {limit}: {asked.url}\n")
    sys.stdout.flush()
    sys.stdout.write(report(asked, asked.run()))
    return 0


def curl(options: Options) -> int:
    """`fortio curl URL`: the whole answer with its head; 1 for a code from 400 on."""
    try:
        reply = Client().fetch(options.url, options.seconds("timeout", 3.0), options.headers)
    except FetchError as error:
        sys.stderr.write(f"fortio: {error}\n")
        return 1
    head = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items)
    sys.stdout.buffer.write(f"HTTP/1.1 {reply.status}\r\n{head}\r\n".encode("latin-1") + reply.body)
    sys.stdout.buffer.flush()
    return 0 if reply.status < 400 else 1


def echo(request: Request) -> Response:
    """What was sent comes back."""
    kind = request.headers.get("content-type") or "text/plain; charset=utf-8"
    return Response(200, request.body, [("content-type", kind)])


def main() -> int:
    """Run with the words of the command line."""
    verb, words = (sys.argv[1:2] or ["server"])[0], sys.argv[2:]
    try:
        match verb:
            case "server":
                return serve(echo, "fortio", PORT)
            case "load":
                return load(Options(words))
            case "curl":
                return curl(Options(words))
            case _:
                why = f"{verb} is not there here"
    except UsageError as error:
        why = str(error)
    sys.stderr.write(f"fortio: {why}\n{_USAGE}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
