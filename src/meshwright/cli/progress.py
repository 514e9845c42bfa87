"""Steps of a longer command, each with the seconds it took."""

import time
from collections.abc import Generator
from contextlib import contextmanager

import click


class Step:
    """One step; `outcome` may be set while it runs and is printed at its end."""

    def __init__(self, title: str) -> None:
        self.outcome = title


@contextmanager
def step(title: str, *, err: bool = False) -> Generator[Step]:
    """Print `title` with its seconds when the block ends well; `err`: to standard error, beside an answer in JSON."""
    began = time.monotonic()
    current = Step(title)
    yield current
    click.echo(f"  {time.monotonic() - began:5.1f} s  {current.outcome}", err=err)
