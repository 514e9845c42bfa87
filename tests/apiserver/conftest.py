"""One server for all convention checks; each test works in a namespace of its own."""

import itertools
from collections.abc import Iterator

import pytest

from tests.apiserver.server import Client, Running, running

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("api")) as started:
        yield started


@pytest.fixture
def admin(server: Running) -> Client:
    return server.admin


@pytest.fixture
def reader(server: Running) -> Client:
    return server.reader


@pytest.fixture
def namespace(admin: Client) -> str:
    name = f"test-{next(_numbers)}"
    admin.must(admin.post("/api/v1/namespaces", {"metadata": {"name": name}}))
    return name
