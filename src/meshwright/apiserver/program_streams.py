"""The descriptors of a program that a client runs in a pod: three pipes, or one terminal."""

import fcntl
import os
import struct
import termios
from contextlib import suppress
from dataclasses import dataclass

_END_OF_TRANSMISSION = b"\x04"
_LARGEST_SIZE = 65_535


@dataclass(slots=True)
class ProgramStreams:
    """Both ends: `inner` is the program's, the others are ours (-1: there is none). Make it with `open_streams`."""

    inner: tuple[int, int, int]
    stdin: int
    stdout: int
    stderr: int
    inner_open: list[int]
    terminal: bool

    def give_away(self) -> None:
        """The program has its descriptors: ours of those are closed, so that ends can be seen."""
        while self.inner_open:
            os.close(self.inner_open.pop())

    def close_stdin(self) -> None:
        """There is no more input."""
        if self.stdin < 0:
            return
        if self.terminal:  # what a user would type
            with suppress(OSError):
                os.write(self.stdin, _END_OF_TRANSMISSION)
        else:
            os.close(self.stdin)
        self.stdin = -1

    def resize(self, width: int, height: int) -> None:
        """The client's window has a new size, in characters."""
        if self.terminal and 0 <= width <= _LARGEST_SIZE and 0 <= height <= _LARGEST_SIZE:
            with suppress(OSError):
                fcntl.ioctl(self.stdout, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def close(self) -> None:
        """All that is still open."""
        self.give_away()
        for descriptor in {self.stdin, self.stdout, self.stderr} - {-1}:
            os.close(descriptor)
        self.stdin = self.stdout = self.stderr = -1


def open_streams(*, stdin: bool, stdout: bool, stderr: bool, terminal: bool) -> ProgramStreams:
    """What the client asks for; the rest leads to /dev/null. Raises OSError when there are no descriptors left."""
    if terminal:
        outer, inner = os.openpty()
        os.set_blocking(outer, False)
        return ProgramStreams((inner, inner, inner), outer if stdin else -1, outer, -1, [inner], terminal=True)
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    opened = [null]
    given = [null, null, null]
    ours = [-1, -1, -1]
    try:
        for number, asked in enumerate((stdin, stdout, stderr)):
            if asked:
                reader, writer = os.pipe2(os.O_CLOEXEC)
                given[number], ours[number] = (reader, writer) if number == 0 else (writer, reader)
                opened.append(given[number])
                os.set_blocking(ours[number], False)
    except OSError:
        for descriptor in (*opened, *(each for each in ours if each >= 0)):
            os.close(descriptor)
        raise
    return ProgramStreams((given[0], given[1], given[2]), ours[0], ours[1], ours[2], opened, terminal=False)
