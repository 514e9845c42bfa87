"""Asks when it is told to, on connections that stay open and on new ones: `asker.py HOST PORT AUTHORITY`.

Each line of standard input is a number of requests for each of "open h1", "open h2", "new h1", "new h2"; the answer
is a line of JSON: for each of them how often which answer came, and "reopened": how many of the connections that stay
open had to be opened anew. An answer is `STATUS VERSION RULE LOCATION X-ANSWER`, "-" for none.
"""

# pyright: basic
# caller.py uses grpcio, which ships no types.

import asyncio
import json
import sys
from collections import Counter
from typing import Any

from caller import Closed, FailedError, Http1, Http2, Stream

OPEN = 4


class Way:
    """One way to ask."""

    def __init__(self, kind: type[Any], spec: dict[str, Any], *, stays: bool) -> None:
        self.stream = Stream(spec)
        self.connections = [kind(self.stream) for _ in range(OPEN)]
        self.stays = stays
        self.seen: Counter[str] = Counter()

    async def ask(self, count: int) -> dict[str, int]:
        self.seen = Counter()
        async with asyncio.TaskGroup() as tasks:
            for connection in self.connections:
                tasks.create_task(self._ask(connection, count // OPEN))
        return dict(self.seen)

    async def _ask(self, connection: Any, count: int) -> None:
        done = 0
        while done < count:
            try:
                reply = await connection.fetch("asked")
            except Closed:
                continue
            except (OSError, FailedError) as error:
                connection.close()
                self.seen[f"failed: {error!r}"] += 1
            else:
                parts = reply.body.strip().split(" ") if reply.status == 200 else []
                _, version, _, rule = parts if len(parts) == 4 else ("", "-", "", "-")
                location, answer = reply.headers.get("location", "-"), reply.headers.get("x-answer", "-")
                self.seen[f"{reply.status} {version} {rule} {location} {answer}"] += 1
            done += 1
            if not self.stays:
                connection.close()


async def main() -> None:
    host, port, authority = sys.argv[1:4]
    spec = {"name": "asker", "host": host, "port": int(port), "authority": authority}
    ways = {
        "open h1": Way(Http1, spec, stays=True),
        "open h2": Way(Http2, spec, stays=True),
        "new h1": Way(Http1, spec, stays=False),
        "new h2": Way(Http2, spec, stays=False),
    }
    while line := await asyncio.to_thread(sys.stdin.readline):
        answers: dict[str, Any] = {name: await way.ask(int(line)) for name, way in ways.items()}
        answers["reopened"] = sum(way.stream.reopened for way in ways.values() if way.stays)
        print(json.dumps(answers), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
