"""A terminal for a command in a pod, joined to the user's own.

The user's terminal controls the user's session and cannot control another one, and a pod must not be able to type
into it. So the command gets a new pair; what is typed goes to it as it is, its output comes back, and it learns new
sizes.
"""

import asyncio
import os
import signal
import termios
import tty
from collections.abc import Awaitable, Callable
from contextlib import suppress

_PIECE = 65536


class Terminal:
    """A pair of descriptors: `inner` is for the command, the other end is joined to 0 and 1."""

    def __init__(self) -> None:
        self._outer, self.inner = os.openpty()
        os.set_blocking(self._outer, False)
        self._typed = b""
        self._loop = asyncio.get_running_loop()

    def join(self) -> None:
        """Begin to pass bytes."""
        self._resize()
        self._loop.add_signal_handler(signal.SIGWINCH, self._resize)
        self._loop.add_reader(0, self._read_typed)
        self._loop.add_reader(self._outer, self.show)

    def part(self) -> None:
        """Stop, and show what the command had still written."""
        self._loop.remove_signal_handler(signal.SIGWINCH)
        self._loop.remove_reader(0)
        self._loop.remove_writer(self._outer)
        self._loop.remove_reader(self._outer)
        os.close(self.inner)
        while self.show():
            pass
        os.close(self._outer)

    def show(self) -> bool:
        """Print what is there; False when nothing is, or nothing can come any more."""
        try:
            piece = os.read(self._outer, _PIECE)
        except BlockingIOError:
            return False
        except OSError:  # the other end is closed
            self._loop.remove_reader(self._outer)
            return False
        while piece:
            piece = piece[os.write(1, piece) :]
        return True

    def _resize(self) -> None:
        with suppress(termios.error, OSError):
            termios.tcsetwinsize(self.inner, termios.tcgetwinsize(0))

    def _read_typed(self) -> None:
        self._typed += os.read(0, _PIECE)
        self._loop.remove_reader(0)  # until this has gone: the command may be slow to read
        self._loop.add_writer(self._outer, self._pass_typed)

    def _pass_typed(self) -> None:
        with suppress(BlockingIOError):
            self._typed = self._typed[os.write(self._outer, self._typed) :]
        if not self._typed:
            self._loop.remove_writer(self._outer)
            self._loop.add_reader(0, self._read_typed)


async def on_terminal(run: Callable[[tuple[int, int, int]], Awaitable[int]]) -> int:
    """Await `run` with the descriptors of a new terminal, joined to ours; its exit code.

    Descriptor 0 must be a terminal. It is as it was afterwards, whatever happens.
    """
    before = termios.tcgetattr(0)
    terminal = Terminal()
    tty.setraw(0)
    terminal.join()
    try:
        return await run((terminal.inner, terminal.inner, terminal.inner))
    finally:
        terminal.part()
        termios.tcsetattr(0, termios.TCSAFLUSH, before)
