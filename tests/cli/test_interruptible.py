"""A start can be interrupted at any moment, and no interrupt is forgotten."""

import signal
from collections.abc import Iterator
from contextlib import suppress

import pytest

from meshwright.cli.starting import interruptible

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def as_in_a_terminal() -> Iterator[None]:
    """A shell's background jobs, and so this test, may have some of them ignored."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_it_is_raised_where_it_comes(number: signal.Signals) -> None:
    reached: list[signal.Signals] = []

    def interrupted() -> None:
        with interruptible():
            signal.raise_signal(number)
            reached.append(number)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not reached
    assert signal.getsignal(number) is signal.SIG_DFL


@pytest.mark.parametrize("number", SIGNALS)
def test_one_that_is_swallowed_is_raised_at_the_end(number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt), interruptible(), suppress(KeyboardInterrupt):
        signal.raise_signal(number)


@pytest.mark.parametrize("number", SIGNALS)
def test_what_is_ignored_stays_ignored(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_IGN)
    with interruptible():
        signal.raise_signal(number)


def test_an_interrupt_that_becomes_another_error() -> None:
    """As in the middle of an event loop, which then cannot be closed."""

    def broken() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise RuntimeError("the event loop stopped") from None

    with pytest.raises(KeyboardInterrupt), interruptible():
        broken()


def test_an_error_without_an_interrupt_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="by itself"), interruptible():
        raise RuntimeError("by itself")
