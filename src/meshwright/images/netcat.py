"""A small `nc HOST PORT` for machines without one: what comes in is sent, what is answered is printed (TCP only)."""

from __future__ import annotations

import os
import select
import socket
import sys

_USAGE = "usage: nc [-v] [-z] [-n] [-N] [-w SECONDS] HOST PORT\n"
_FLAGS = frozenset("vznN")
_PIECE = 65536
_INPUT = 0  # file descriptor


class UsageError(Exception):
    """The words of the command line mean nothing; the text says which."""


class Options:
    """What the words of the command line say. `seconds` is the limit for silence, None for none."""

    def __init__(self, words: list[str]) -> None:
        self.flags: set[str] = set()
        self.seconds: float | None = None
        places: list[str] = []
        rest = iter(words)
        for word in rest:
            if word.startswith("-w"):
                self.seconds = _seconds(word[2:] or next(rest, ""))
            elif word.startswith("-") and len(word) > 1:
                self.flags |= set(word[1:])
            else:
                places.append(word)
        strange = self.flags - _FLAGS
        if strange or len(places) != 2 or not (places[1].isdecimal() and 0 < int(places[1]) < 65536):
            raise UsageError(f"-{''.join(sorted(strange))} is not there here\n" if strange else "")
        self.host, self.port = places[0], int(places[1])


def _seconds(text: str) -> float:
    if not text.isdecimal():
        raise UsageError(f"-w {text}: not a number of seconds\n")
    return float(text)


def exchange(connection: socket.socket, seconds: float | None) -> None:
    """Both directions until the other end has said everything; the end of our input is passed on."""
    inputs = {_INPUT, connection.fileno()}
    while True:
        ready, _, _ = select.select(inputs, [], [], seconds)
        if not ready:
            return
        if _INPUT in ready:
            data = os.read(_INPUT, _PIECE)
            if data:
                connection.sendall(data)
            else:
                inputs.remove(_INPUT)
                connection.shutdown(socket.SHUT_WR)
        if connection.fileno() in ready:
            answer = connection.recv(_PIECE)
            if not answer:
                return
            sys.stdout.buffer.write(answer)
            sys.stdout.buffer.flush()


def main() -> int:
    """Run with the words of the command line; the exit code is 0, or 1 when there is no connection."""
    try:
        options = Options(sys.argv[1:])
    except UsageError as error:
        sys.stderr.write(f"nc: {error}" + _USAGE if str(error) else _USAGE)
        return 1
    where = f"{options.host} {options.port}"
    try:
        connection = socket.create_connection((options.host, options.port), options.seconds)
    except OSError as error:
        sys.stderr.write(f"nc: {where}: {error.strerror or error}\n")
        return 1
    with connection:
        connection.settimeout(None)
        if "v" in options.flags:
            sys.stderr.write(f"{where} open\n")
        if "z" not in options.flags:
            try:
                exchange(connection, options.seconds)
            except OSError as error:
                sys.stderr.write(f"nc: {where}: {error.strerror or error}\n")
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
