"""Requests at the very moment when the backend closes its idle connections: `bursts.py HOST PORT SECONDS`.

As many as CLIENTS at a time, so that as many connections are idle then, about SECONDS (how long the backend lets them
be) after the ones before. Prints what the load's streams print.
"""

# pyright: basic
# caller.py uses grpcio, which ships no types.

import asyncio
import json
import random
import sys

from caller import Http1, Stream, one

CLIENTS, ROUNDS = 20, 6
THINKING = 50  # ms: all connections are in use at once
SPREAD = 0.004


async def burst(stream: Stream, connections: list[Http1], at: float) -> None:
    async def ask(connection: Http1) -> None:
        await asyncio.sleep(at + random.uniform(-SPREAD, SPREAD) - asyncio.get_running_loop().time())
        await one(stream, connection)

    async with asyncio.TaskGroup() as tasks:
        for connection in connections:
            tasks.create_task(ask(connection))


async def main() -> None:
    host, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    stream = Stream({"name": "bursts", "host": host, "port": port, "wait": THINKING})
    connections = [Http1(stream) for _ in range(CLIENTS)]
    at = asyncio.get_running_loop().time() + 0.5
    for _ in range(ROUNDS):
        await burst(stream, connections, at)
        at += seconds + THINKING / 1000
    print(json.dumps(stream.report()))


if __name__ == "__main__":
    asyncio.run(main())
