"""What the driver of `bench.xds` tells the Python servers: lines on stdin, JSON on stdout."""

import asyncio
import base64
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from bench._xds_mesh import Held
from meshwright.model.names import ResourceName, TypeUrl

LONGEST_LINE = 1 << 24


async def obeyed(change: Callable[[Held], Awaitable[None]], ready: Mapping[str, Any] | None = None) -> None:
    """Says that it is ready (and what is in `ready`), then does what stdin says until that ends."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=LONGEST_LINE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    _say({"ready": True, **(ready or {})})
    while line := await lines.readline():
        words = line.decode().split()
        if words[0] == "change":
            at = time.monotonic()
            await change(Held(TypeUrl(words[1]), ResourceName(words[2]), base64.b64decode(words[3])))
            _say({"at": at})
        else:
            _say({"cpu": time.process_time()})


def _say(answer: Mapping[str, Any]) -> None:
    print(json.dumps(answer), flush=True)
