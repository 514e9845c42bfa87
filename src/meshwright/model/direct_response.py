"""Answers that the proxy gives itself."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DirectResponse:
    """A status (200..599) and a body of at most 1 MiB; None sends no body."""

    status: int
    body: str | None = None
    body_base64: str | None = None  # a binary body, as the user wrote it (checked to be base64)
