"""Who may use the console's API, and what everybody else is told."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from meshwright.asynctools.latest import Latest
from meshwright.console.access import MOST_WRONG, SESSION_SECONDS, WRONG_SECONDS, Access, Sessions
from meshwright.console.application import application
from meshwright.console.seams import MeshAwayError, MeshRefusesError, Seams

TOKEN = "t" * 32
HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
HERE = "http://localhost:20001"
UNDO = "/api/v1/changes/7/undo"


class SmallMesh:
    """Answers the questions of the console, and remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.failure: Exception | None = None

    async def ask(self, operation: str, fields: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0)
        self.asked.append((operation, fields))
        if self.failure is not None:
            raise self.failure
        return {"on": True} if operation == "visitors" else {"change": 8}

    def seams(self) -> Seams:
        return Seams(
            graph=lambda: {"window_seconds": 30.0, "nodes": [], "edges": []},
            past=lambda _: {"nodes": [], "edges": []},
            requests=lambda wanted: [asdict(wanted)],
            news=Latest(0),
            ask=self.ask,
            token=TOKEN,
            mesh="test",
            ingress="http://localhost:8080",
            version="0",
            allowed_hosts=HOSTS,
        )


@pytest.fixture
def mesh() -> SmallMesh:
    return SmallMesh()


@pytest.fixture
def client(mesh: SmallMesh) -> Iterator[TestClient]:
    with TestClient(application(mesh.seams()), base_url=HERE) as made:
        yield made


def log_in(client: TestClient) -> str:
    """From now on `client` brings a session; its name."""
    answer = client.post("/api/v1/session", json={"token": TOKEN})
    assert answer.status_code == 200
    client.headers["authorization"] = f"Bearer {answer.json()['session']}"
    return str(answer.json()["session"])


def test_pages_are_open_and_strict(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "<script>" not in answer.text
    assert " style=" not in answer.text
    assert client.get("/nothing.js").status_code == 404
    assert client.get("/../access.py").status_code == 404


def test_pages_are_packed_and_not_sent_twice(client: TestClient) -> None:
    first = client.get("/main.js")
    assert first.headers["content-encoding"] == "gzip"
    assert first.headers["cache-control"] == "no-cache"
    again = client.get("/main.js", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    plain = client.get("/main.js", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.text == first.text
    assert client.get("/style.css").headers["etag"] != first.headers["etag"]


@pytest.mark.parametrize("path", ["/", "/nothing.js", "/api/v1/me", "/api/v1/session", "/api/v1/visitors"])
@pytest.mark.parametrize("method", ["GET", "PATCH", "TRACE"])
def test_every_answer_is_strict(client: TestClient, method: str, path: str) -> None:
    headers = client.request(method, path).headers
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] in ("no-store", "no-cache")


@pytest.mark.parametrize("path", ["graph", "requests", "changes", "changes/1/diff", "events", "me", "visitors"])
def test_values_need_a_session(client: TestClient, path: str) -> None:
    answer = client.get(f"/api/v1/{path}")
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "log-in"
    assert answer.json()["status"] == 401


def test_which_requests_are_wanted(client: TestClient) -> None:
    log_in(client)
    [all_of_them] = client.get("/api/v1/requests").json()["requests"]
    assert all_of_them == {"most": 50, "edge": "", "request": "", "failed": False}
    [some] = client.get("/api/v1/requests?id=1f2e&failed=true&limit=9999").json()["requests"]
    assert some == {"most": 200, "edge": "", "request": "1f2e", "failed": True}


def test_a_record_is_asked_as_it_is(client: TestClient, mesh: SmallMesh) -> None:
    log_in(client)
    record = {"source": "default/web", "method": "GET", "path": "/", "authority": "cart:8000", "code": None}
    client.post("/api/v1/explain", json={"record": record})
    client.post("/api/v1/explain", json={"record": "no object", "caller": "outside"})
    assert [fields.get("record") for _, fields in mesh.asked] == [record, None]


def test_undo_needs_a_session(client: TestClient, mesh: SmallMesh) -> None:
    assert client.post(UNDO).status_code == 401
    assert mesh.asked == []
    log_in(client)
    assert client.post(UNDO).json() == {"change": 8}
    assert mesh.asked == [("undo", {"change": 7, "author": "console"})]


def test_a_session_ends(client: TestClient) -> None:
    name = log_in(client)
    assert client.get("/api/v1/me").json()["mesh"] == "test"
    assert client.delete("/api/v1/session").status_code == 204
    assert client.headers["authorization"] == f"Bearer {name}"
    assert client.get("/api/v1/me").status_code == 401


def test_a_session_is_over_after_its_time() -> None:
    now = [100.0]
    sessions = Sessions(TOKEN, HOSTS, lambda: now[0])
    name = sessions.begin(TOKEN)
    request = Request({"type": "http", "headers": [(b"authorization", f"Bearer {name}".encode())]})
    assert sessions.access(request) is Access.YES
    now[0] += SESSION_SECONDS
    assert sessions.access(request) is Access.NO


def test_nothing_is_put_where_other_ports_see_it(client: TestClient) -> None:
    """Browsers send cookies to every port of a host: to the mesh's own gateway, and to who answers behind it."""
    log_in(client)
    for path in ("/", "/api/v1/me"):
        assert "set-cookie" not in client.get(path).headers
    assert client.post("/api/v1/session", json={"token": TOKEN}).headers.get("set-cookie") is None
    del client.headers["authorization"]
    client.cookies.set("meshwright-session-20001", TOKEN)
    assert client.get("/api/v1/me").status_code == 401


def test_sessions_that_are_over_are_no_guesses(client: TestClient) -> None:
    """Many tabs that come back after a restart lock nobody out."""
    over = {"authorization": "Bearer session-of-before"}
    for _ in range(2 * MOST_WRONG):
        assert client.get("/api/v1/me", headers=over).status_code == 401
    log_in(client)
    assert client.get("/api/v1/me").status_code == 200


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], "ü"])
def test_wrong_tokens(client: TestClient, token: str) -> None:
    answer = client.post("/api/v1/session", json={"token": token})
    assert (answer.status_code, answer.json()["code"]) == (403, "wrong-token")
    assert "set-cookie" not in answer.headers


def test_many_wrong_tokens_have_to_wait(client: TestClient) -> None:
    other = TestClient(client.app, base_url=HERE)
    log_in(other)
    for _ in range(MOST_WRONG):
        assert client.post("/api/v1/session", json={"token": "guess"}).status_code == 403
    answer = client.post("/api/v1/session", json={"token": TOKEN})
    assert (answer.status_code, answer.json()["code"]) == (429, "too-many-tries")
    assert int(answer.headers["retry-after"]) > 0
    assert client.get("/api/v1/me", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 429
    assert other.get("/api/v1/me").status_code == 200  # who is in stays in


def test_the_wait_ends() -> None:
    now = [100.0]
    sessions = Sessions(TOKEN, HOSTS, lambda: now[0])
    for _ in range(MOST_WRONG):
        assert sessions.begin("guess") is Access.NO
    assert sessions.begin(TOKEN) is Access.LATER
    now[0] += WRONG_SECONDS
    assert isinstance(sessions.begin(TOKEN), str)


def test_programs_bring_the_token(client: TestClient) -> None:
    right = {"authorization": f"Bearer {TOKEN}"}
    assert client.get("/api/v1/graph", headers=right).status_code == 200
    assert client.get("/api/v1/graph", headers={"authorization": "Bearer nothing"}).status_code == 401
    assert client.get("/api/v1/graph", headers={"authorization": f"Basic {TOKEN}"}).status_code == 401


@pytest.mark.parametrize("host", ["evil.example", "evil.example:20001", "localhost.evil.example:20001", ""])
def test_other_names_for_this_host(client: TestClient, host: str) -> None:
    for path in ("/", "/api/v1/me"):
        answer = client.get(path, headers={"host": host})
        assert (answer.status_code, answer.json()["code"]) == (421, "foreign-host")


@pytest.mark.parametrize("origin", ["http://evil.example", "http://localhost:20002", "null", "http://localhost"])
def test_changes_from_other_pages(client: TestClient, mesh: SmallMesh, origin: str) -> None:
    log_in(client)
    assert client.post(UNDO, headers={"origin": origin}).status_code == 421
    assert mesh.asked == []
    assert client.post(UNDO, headers={"origin": HERE}).status_code == 200


@pytest.mark.parametrize(
    ("failure", "expected"),
    [(MeshAwayError("it is away"), (503, "mesh-away")), (MeshRefusesError("no"), (409, "refused"))],
)
def test_what_the_mesh_does_not_do(
    client: TestClient, mesh: SmallMesh, failure: Exception, expected: tuple[int, str]
) -> None:
    log_in(client)
    mesh.failure = failure
    answer = client.post(UNDO)
    assert (answer.status_code, answer.json()["code"], answer.json()["detail"]) == (*expected, str(failure))


def test_the_switch_for_visitors(client: TestClient, mesh: SmallMesh) -> None:
    log_in(client)
    assert client.get("/api/v1/visitors").json() == {"on": True}
    client.put("/api/v1/visitors", json={"on": False})
    assert [fields["wanted"] for _, fields in mesh.asked] == ["", "off"]


@pytest.mark.parametrize(
    "body", ["", "[1]", "no json", '{"headers": 5}', '{"headers": ["a"], "url": 7}', "x" * 70_000]
)
def test_odd_bodies_are_no_crash(client: TestClient, body: str) -> None:
    log_in(client)
    assert client.post("/api/v1/explain", content=body).status_code == 200


def test_limits_are_bounded(client: TestClient) -> None:
    log_in(client)

    def most(limit: str) -> int:
        return client.get(f"/api/v1/requests?edge=e&limit={limit}").json()["requests"][0]["most"]

    checks: list[tuple[str, Callable[[int], bool]]] = [
        ("7", lambda got: got == 7),
        ("999999", lambda got: got == 200),
        ("-1", lambda got: got == 0),
        ("٣", lambda got: got == 0),
    ]
    assert [limit for limit, holds in checks if not holds(most(limit))] == []
