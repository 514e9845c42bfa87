"""A closed loop of HTTP/1.1 requests from inside a pod: `wrk` where it is installed, else a small generator of ours.

Both keep a fixed number of connections busy for a fixed time and tell latencies in microseconds.
"""

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from meshwright.processes.holder_client import SpawnSpec, execute

HERE = Path(__file__).resolve().parent
SCRIPT = HERE / "_wrk.lua"
MARK = "meshwright-load "
PATIENCE_SECONDS = 20
_HEAD_LIMIT = 65_536


@dataclass(frozen=True, slots=True)
class Target:
    """Where the load runs (`pod` of the sandbox whose holder listens at `holder`) and what it asks for."""

    holder: Path
    pod: str
    url: str


@dataclass(frozen=True, slots=True)
class Load:
    """One measurement: requests per second, latencies in microseconds, and how many requests went wrong."""

    rate: float
    p50: float
    p99: float
    requests: int
    failed: int


def generator() -> str:
    """What produces the load here, as a sentence for the report."""
    if shutil.which("wrk"):
        return "wrk"
    return (
        "the bundled Python generator, as wrk is absent (on Debian: apt-get install wrk); its own cost hides a part"
    )


async def load(target: Target, connections: int, seconds: float) -> Load:
    """Run one load and wait for its end. RuntimeError with the generator's output when it gave no result."""
    argv = _command(target.url, connections, seconds)
    spec = SpawnSpec(target.pod, "load", argv, expose=(str(HERE),))
    with tempfile.TemporaryFile() as output, Path(os.devnull).open("rb") as nothing:
        streams = (nothing.fileno(), output.fileno(), output.fileno())
        async with asyncio.timeout(seconds + PATIENCE_SECONDS):
            code = await execute(target.holder, spec, streams)
        output.seek(0)
        text = output.read().decode(errors="replace")
    for line in text.splitlines():
        if line.startswith(MARK):
            found = json.loads(line.removeprefix(MARK))
            rate = found["requests"] / found["seconds"]
            return Load(rate, found["p50"], found["p99"], found["requests"], found["failed"])
    raise RuntimeError(f"no result from {' '.join(argv)} (exit code {code}):\n{text}")


def _command(url: str, connections: int, seconds: float) -> tuple[str, ...]:
    wrk = shutil.which("wrk")
    if wrk is None:
        return (sys.executable, str(HERE / "_load.py"), url, str(connections), str(seconds))
    # wrk counts whole seconds; one thread, because the proxies under test need the other cores
    duration = f"{max(1, round(seconds))}s"
    return (wrk, "-t1", f"-c{connections}", f"-d{duration}", "--timeout", "10s", "-s", str(SCRIPT), url)


async def _generate(url: str, connections: int, seconds: float) -> None:
    """The bundled generator: prints the line that `load` reads."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    request = f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
    times: list[float] = []
    failures: list[str] = []
    begin = time.perf_counter()
    end = begin + seconds
    async with asyncio.TaskGroup() as tasks:
        for _ in range(connections):
            tasks.create_task(_one_connection((host, port), request, end, times, failures))
    took = time.perf_counter() - begin
    times.sort()
    middle, high = (times[int(len(times) * share)] * 1e6 if times else 0.0 for share in (0.5, 0.99))
    result = {"requests": len(times), "seconds": took, "p50": middle, "p99": high, "failed": len(failures)}
    print(MARK + json.dumps(result))


async def _one_connection(
    address: tuple[str, int], request: bytes, end: float, times: list[float], failures: list[str]
) -> None:
    try:
        reader, writer = await asyncio.open_connection(*address, limit=_HEAD_LIMIT)
        with contextlib.closing(writer):
            while (begin := time.perf_counter()) < end:
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(_length(head))
                times.append(time.perf_counter() - begin)
                if not head.startswith(b"HTTP/1.1 200"):
                    failures.append(head[:40].decode(errors="replace"))
    except (OSError, asyncio.IncompleteReadError) as error:
        failures.append(str(error))


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def _main() -> None:
    parser = argparse.ArgumentParser(description=_generate.__doc__)
    parser.add_argument("url")
    parser.add_argument("connections", type=int)
    parser.add_argument("seconds", type=float)
    given = parser.parse_args()
    asyncio.run(_generate(given.url, given.connections, given.seconds))


if __name__ == "__main__":
    _main()
