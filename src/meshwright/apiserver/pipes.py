"""Descriptors as asyncio sees them: reads and writes that do not block the loop, without a buffer that could grow."""

import asyncio
import os

PIECE = 32_768


async def read(descriptor: int, most: int = PIECE) -> bytes:
    """What is there, as soon as something is; empty at the end (of a terminal: when nobody has its other side)."""
    while True:
        try:
            return os.read(descriptor, most)
        except BlockingIOError:
            await _ready(descriptor, writing=False)
        except OSError:
            return b""


async def write(descriptor: int, data: bytes) -> bool:
    """All of it; False when nobody reads it any more."""
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:
            await _ready(descriptor, writing=True)
        except OSError:
            return False
    return True


async def _ready(descriptor: int, *, writing: bool) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    if writing:
        loop.add_writer(descriptor, _wake, ready)
    else:
        loop.add_reader(descriptor, _wake, ready)
    try:
        await ready
    finally:
        if writing:
            loop.remove_writer(descriptor)
        else:
            loop.remove_reader(descriptor)


def _wake(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)
