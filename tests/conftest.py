"""Options of the whole suite, and what it leaves behind when it is killed: nothing."""

from collections.abc import Generator

import pytest

from tests.undertaker import watched


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bless", action="store_true", help="write the golden files instead of comparing them")


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop() -> Generator[None, object, object]:
    """A worker, or all of pytest, that is killed takes along what it has started."""
    with watched():
        return (yield)
