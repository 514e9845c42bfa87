"""What the API needs of the machines to serve logs, exec, attach and port-forward: a seam that wiring fills."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from socket import socket
from typing import Protocol

from meshwright.model.names import Milliseconds

Ended = Callable[[], Awaitable[int]]
"""Waits for the end of a program; its exit code as a shell tells it."""


class StreamError(Exception):
    """It cannot be done on the machine; the text says why, for users."""


@dataclass(frozen=True, slots=True)
class ContainerRef:
    """A container of a pod."""

    namespace: str
    pod: str
    container: str


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Which part of a container's output. `back` counts its programs: 0 is the newest, 1 the one before.

    `since` in milliseconds since the epoch; `tail` in lines, `limit` in bytes; None: no such limit.
    """

    back: int = 0
    follow: bool = False
    tail: int | None = None
    since: Milliseconds | None = None
    timestamps: bool = False
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run in a container. With `terminal` its three descriptors are one terminal."""

    argv: tuple[str, ...]
    terminal: bool = False


class PodStreams(Protocol):
    """The machine's side. Pods and containers that are asked for exist in the store; all else may have happened."""

    def logs(
        self, ref: ContainerRef, options: LogOptions, going_on: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[bytes]:
        """The output; what is not there is empty. `going_on` says every now and then whether to follow further."""
        ...

    def execute(
        self, ref: ContainerRef, command: Command, streams: tuple[int, int, int]
    ) -> AbstractAsyncContextManager[Ended]:
        """Inside the block the program runs, with `streams` as its descriptors 0, 1, 2 (they stay the caller's).

        Raises StreamError when it cannot be started. Leaving the block ends it.
        """
        ...

    async def dial(self, namespace: str, pod: str, port: int) -> socket:
        """A connection to 127.0.0.1:`port` as the pod sees it: non-blocking, the caller's. Raises StreamError."""
        ...
