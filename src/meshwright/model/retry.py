"""Retries of HTTP requests."""

from dataclasses import dataclass

from meshwright.model.names import Milliseconds


@dataclass(frozen=True, slots=True)
class Retry:
    """`attempts` 0 switches retries off. None means: as the mesh's default says."""

    attempts: int
    per_try_timeout: Milliseconds | None = None
    retry_on: tuple[str, ...] = ()  # policy names and status codes as written; () = the default list
    remote_localities: bool | None = None
    ignore_previous_hosts: bool | None = None  # None = true
    backoff: Milliseconds | None = None
