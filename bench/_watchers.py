"""Watchers of the object API, in a process of their own: `python -m bench._watchers KUBECONFIG PATH COUNT`.

So many connections over TLS, each with a watch from now on. Prints `ready` when all are answered, and from then on a
line whenever every watcher has one event more.
"""

import asyncio
import base64
import json
import ssl
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

AT_A_TIME = 20  # handshakes


class Tally:
    """How many watchers have how many events."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._reached: dict[int, int] = {}

    def reached(self, events: int) -> None:
        self._reached[events] = self._reached.get(events, 0) + 1
        if self._reached[events] == self._count:
            del self._reached[events]
            print(events or "ready", flush=True)


async def watch(kubeconfig: Path, path: str, tally: Tally, free: asyncio.Semaphore) -> None:
    config: Any = json.loads(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    place = urlsplit(str(cluster["server"]))
    async with free:
        reader, writer = await asyncio.open_connection(place.hostname, place.port, ssl=context)
        head = f"GET {path}?watch=1 HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: Bearer {user['token']}\r\n\r\n"
        writer.write(head.encode())
        status = await reader.readline()
        assert b" 200 " in status, status
        await events(reader, 1)  # what is there
    tally.reached(0)
    number = 0
    while True:
        await events(reader, 1)
        number += 1
        tally.reached(number)


async def events(reader: asyncio.StreamReader, count: int) -> None:
    """Read so many; the lines of chunks and headers between them are none."""
    while count:
        line = await reader.readline()
        assert line, "the watch has ended"
        count -= line.startswith(b'{"type"')


async def main() -> None:
    kubeconfig, path, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    tally, free = Tally(count), asyncio.Semaphore(AT_A_TIME)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(count):
            tasks.create_task(watch(kubeconfig, path, tally, free))


if __name__ == "__main__":
    asyncio.run(main())
