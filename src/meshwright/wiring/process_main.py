"""How each of our asyncio processes begins and ends: the supervisor starts it, SIGTERM stops it."""

import argparse
import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import uvloop


def run_process(name: str, purpose: str | None, serve: Callable[[Path], Coroutine[Any, Any, None]]) -> int:
    """Run `serve` with the data directory that the command line names, to its end; the exit code."""
    parser = argparse.ArgumentParser(prog=name, description=purpose)
    parser.add_argument("--data", type=Path, required=True)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    uvloop.run(serve(given.data))
    return 0


def stop_on_signals() -> asyncio.Event:
    """Set by SIGTERM and SIGINT."""
    stop = asyncio.Event()
    on_signal: Callable[[], None] = stop.set
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    return stop
