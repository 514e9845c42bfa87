"""Runs a measurement so that ^C and TERM end it in order: everything that was started is stopped."""

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine


def until_stopped(measure: Callable[[], Coroutine[None, None, None]]) -> int:
    """Exit status: 0 measured, 1 could not be measured (the reason on stderr), 130 stopped."""
    try:
        asyncio.run(_guarded(measure))
    except RuntimeError as error:
        print(f"not measured: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("stopped", file=sys.stderr)
        return 130
    return 0


async def _guarded(measure: Callable[[], Coroutine[None, None, None]]) -> None:
    current = asyncio.current_task()
    assert current is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, current.cancel)
    await measure()
