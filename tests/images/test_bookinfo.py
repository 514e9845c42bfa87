"""Bookinfo without a mesh: the four services as processes that call each other."""

import contextlib
import json
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from meshwright.images.bookinfo.common import TRACE_HEADERS
from meshwright.images.bookinfo.details import found
from meshwright.images.server import Request, Response, json_response, text_response
from tests.images.programs import ask, command, running, serving, silent

PORT = 9080


def env(**hosts: str) -> dict[str, str]:
    return {f"{name.upper()}_HOSTNAME": host for name, host in hosts.items()}


@dataclass(frozen=True)
class Bookinfo:
    pages: dict[str, str]
    reviews: dict[str, str]
    ratings: str
    details: str


@pytest.fixture(scope="module")
def bookinfo() -> Iterator[Bookinfo]:
    with contextlib.ExitStack() as stack:

        def start(name: str, **variables: str) -> str:
            return stack.enter_context(running(f"bookinfo.{name}", PORT, env=variables))[0]

        details, ratings = start("details"), start("ratings")
        names = env(details=details, ratings=ratings)
        settings = {
            "v1": {"ENABLE_RATINGS": "false"},
            "v2": {"ENABLE_RATINGS": "true"},
            "v3": {"ENABLE_RATINGS": "true", "STAR_COLOR": "red", "CLUSTER_NAME": "east"},
        }
        reviews = {
            version: start("reviews", HOSTNAME=f"reviews-{version}-abc", **names, **more)
            for version, more in settings.items()
        }
        pages = {version: start("productpage", **names, REVIEWS_HOSTNAME=host) for version, host in reviews.items()}
        yield Bookinfo(pages, reviews, ratings, details)


def get_json(address: str, path: str) -> tuple[int, Any]:
    status, headers, body = ask(address, PORT, path)
    assert headers["content-type"] == "application/json"
    return status, json.loads(body)


@pytest.mark.parametrize(("version", "color", "stars"), [("v1", "", 0), ("v2", "black", 2), ("v3", "red", 2)])
def test_the_page_shows_details_and_reviews(bookinfo: Bookinfo, version: str, color: str, stars: int) -> None:
    status, headers, body = ask(bookinfo.pages[version], PORT, "/productpage")
    page = body.decode()
    assert status == 200
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert "<title>Simple Bookstore App</title>" in page
    assert "William Shakespeare" in page
    assert "PublisherA" in page
    assert f"reviews-{version}-abc" in page
    assert page.count("data-stars=") == stars
    assert page.count(f'data-color="{color}"') == stars
    assert "unavailable" not in page


def test_the_page_needs_nothing_from_elsewhere(bookinfo: Bookinfo) -> None:
    page = ask(bookinfo.pages["v2"], PORT, "/productpage")[2].decode()
    assert "http://" not in page
    assert "https://" not in page
    for place in ("/static/bookinfo.css", "/static/favicon.svg"):
        assert place in page
        assert ask(bookinfo.pages["v2"], PORT, place)[0] == 200
    assert ask(bookinfo.pages["v2"], PORT, "/static/../pages.py")[0] == 404


def test_the_api(bookinfo: Bookinfo) -> None:
    page = bookinfo.pages["v3"]
    status, products = get_json(page, "/api/v1/products")
    assert status == 200
    assert set(products[0]) == {"id", "title", "descriptionHtml"}
    assert get_json(page, "/api/v1/products/0") == get_json(bookinfo.details, "/details/0")
    assert get_json(page, "/api/v1/products/0/ratings") == (
        200,
        {"id": 0, "ratings": {"Reviewer1": 5, "Reviewer2": 4}},
    )
    status, reviews = get_json(page, "/api/v1/products/0/reviews")
    assert reviews["id"] == "0"
    assert reviews["podname"] == "reviews-v3-abc"
    assert reviews["clustername"] == "east"
    ratings = [(each["reviewer"], each["rating"]) for each in reviews["reviews"]]
    assert ratings == [("Reviewer1", {"stars": 5, "color": "red"}), ("Reviewer2", {"stars": 4, "color": "red"})]
    status, answer = get_json(page, "/api/v1/products/none")
    assert status == 400
    assert list(answer) == ["error"]
    assert get_json(page, "/api/v1/products/0/nothing")[0] == 404


def test_reviews_without_stars_have_no_rating(bookinfo: Bookinfo) -> None:
    answer = json.loads(ask(bookinfo.reviews["v1"], PORT, "/reviews/7")[2])
    assert answer["id"] == "7"
    assert answer["clustername"] == "null"
    assert [set(each) for each in answer["reviews"]] == [{"reviewer", "text"}] * 2


def test_details(bookinfo: Bookinfo) -> None:
    status, book = get_json(bookinfo.details, "/details/3")
    keys = ["id", "author", "year", "type", "pages", "publisher", "language", "ISBN-10", "ISBN-13"]
    assert status == 200
    assert list(book) == keys
    assert (book["id"], book["year"], book["pages"], book["type"]) == (3, 1595, 200, "paperback")
    assert get_json(bookinfo.details, "/details/x")[0] == 400
    assert get_json(bookinfo.details, "/other")[0] == 404


def test_health_and_metrics(bookinfo: Bookinfo) -> None:
    assert get_json(bookinfo.details, "/health") == (200, {"status": "Details is healthy"})
    assert get_json(bookinfo.ratings, "/health") == (200, {"status": "Ratings is healthy"})
    assert get_json(bookinfo.reviews["v1"], "/health") == (200, {"status": "Reviews is healthy"})
    assert ask(bookinfo.pages["v1"], PORT, "/health")[2] == b"Product page is healthy"
    assert ask(bookinfo.pages["v1"], PORT, "/productpage")[0] == 200
    metrics = ask(bookinfo.pages["v1"], PORT, "/metrics")[2].decode()
    assert 'request_result_total{destination_app="details",response_code="200"}' in metrics


def test_the_front_page_lists_the_services(bookinfo: Bookinfo) -> None:
    for path in ("/", "/index.html"):
        status, _, body = ask(bookinfo.pages["v1"], PORT, path)
        assert status == 200
        assert f"http://{bookinfo.details}:9080" in body.decode()


def login(page: str, user: str, referer: str = "http://shop.example/productpage?u=1") -> tuple[int, str, str]:
    form = f"username={user}&passwd=secret".encode()
    fields = {"Content-Type": "application/x-www-form-urlencoded", "Referer": referer}
    status, headers, _ = ask(page, PORT, "/login", "POST", form, fields)
    return status, headers["location"], headers["set-cookie"] or ""


def test_login_and_logout(bookinfo: Bookinfo) -> None:
    page = bookinfo.pages["v2"]
    status, place, cookie = login(page, "jason")
    assert (status, place) == (302, "/productpage?u=1")
    session = cookie.partition(";")[0]
    shown = ask(page, PORT, "/productpage", headers={"Cookie": f"other=1; {session}"})[2].decode()
    assert '<b id="user">jason</b>' in shown
    assert "Log out" in shown
    status, headers, _ = ask(page, PORT, "/logout", headers={"Cookie": session})
    assert status == 302
    assert "Max-Age=0" in headers["set-cookie"]
    assert 'id="user"' not in ask(page, PORT, "/productpage")[2].decode()


def test_login_cannot_be_abused(bookinfo: Bookinfo) -> None:
    page = bookinfo.pages["v2"]
    assert login(page, "")[2] == ""
    assert ask(page, PORT, "/login")[0] == 405
    assert login(page, "a", "http://x//evil.example/y")[1] == "/evil.example/y"
    assert login(page, "a", "nonsense")[1] == "/productpage"
    cookie = login(page, "%3Cscript%3E%0d%0aX:1")[2].partition(";")[0]
    shown = ask(page, PORT, "/productpage", headers={"Cookie": cookie})[2].decode()
    assert "<script>" not in shown
    assert "&lt;script&gt;X:1" in shown


def test_headers_travel_with_the_request() -> None:
    seen: dict[str, dict[str, str]] = {}

    def record(request: Request) -> Response:
        name = request.path.split("/")[1]
        seen[name] = {key.lower(): value for key, value in request.headers.items}
        return json_response(200, {"ratings": {"Reviewer1": 1}})

    sent = {name: f"value-{name}" for name in TRACE_HEADERS if name != "cookie"}
    sent |= {"cookie": "session=jason", "x-secret": "1", "end-user": "mallory"}
    with contextlib.ExitStack() as stack:
        host, port = stack.enter_context(serving(record))
        names = env(details=host, ratings=host) | {
            "DETAILS_SERVICE_PORT": str(port),
            "RATINGS_SERVICE_PORT": str(port),
        }
        variables = names | {"ENABLE_RATINGS": "true"}
        reviews, _ = stack.enter_context(running("bookinfo.reviews", PORT, env=variables))
        page, _ = stack.enter_context(running("bookinfo.productpage", PORT, env=names | env(reviews=reviews)))
        assert ask(page, PORT, "/productpage", headers=sent)[0] == 200
    for name in ("details", "ratings"):  # ratings was asked by reviews
        for header in TRACE_HEADERS:
            assert seen[name][header] == sent[header]
        assert seen[name]["end-user"] == "jason"
        assert "x-secret" not in seen[name]


def test_the_page_survives_silent_services_and_asks_reviews_twice() -> None:
    with silent() as (reviews, asked), running("bookinfo.details", PORT) as (details, _):
        variables = env(details=details, reviews=reviews)
        with running("bookinfo.productpage", PORT, env=variables) as (page, _):
            status, _, body = ask(page, PORT, "/productpage")
        assert status == 200
        assert "Reviews are unavailable right now" in body.decode()
        assert "PublisherA" in body.decode()
        # The connection check of a pooled client would show up here as well: two tries, two connections.
        assert len(asked) == 2


def test_the_api_passes_the_status_on() -> None:
    counted: list[str] = []

    def fail(request: Request) -> Response:
        counted.append(request.path)
        return text_response(503, "no")

    with serving(fail) as (host, port):
        ports = {f"{name}_SERVICE_PORT": str(port) for name in ("DETAILS", "REVIEWS", "RATINGS")}
        variables = env(details=host, reviews=host, ratings=host) | ports
        with running("bookinfo.productpage", PORT, env=variables) as (page, _):
            assert [get_json(page, f"/api/v1/products/0{rest}")[0] for rest in ("", "/reviews", "/ratings")] == [
                503
            ] * 3
            body = ask(page, PORT, "/productpage")[2].decode()
    assert counted == [
        "/details/0",
        "/reviews/0",
        "/reviews/0",
        "/ratings/0",
        "/details/0",
        "/reviews/0",
        "/reviews/0",
    ]
    assert "Details are unavailable" in body
    assert "Reviews are unavailable" in body


def test_reviews_live_without_ratings() -> None:
    with silent() as (ratings, _):
        variables = env(ratings=ratings) | {"ENABLE_RATINGS": "true", "STAR_COLOR": "red"}
        with running("bookinfo.reviews", PORT, env=variables) as (reviews, _):
            status, answer = get_json(reviews, "/reviews/0")
    assert status == 200
    assert [list(each["rating"]) for each in answer["reviews"]] == [["error"]] * 2


def test_flooding_asks_reviews_many_times() -> None:
    lock, counted = threading.Lock(), [0]

    def count(_: Request) -> Response:
        with lock:
            counted[0] += 1
        return json_response(200, {"reviews": []})

    with serving(count) as (host, port):
        variables = {f"{name}_SERVICE_PORT": str(port) for name in ("DETAILS", "REVIEWS")}
        variables |= env(details=host, reviews=host) | {"FLOOD_FACTOR": "10"}
        with running("bookinfo.productpage", PORT, env=variables) as (page, _):
            assert ask(page, PORT, "/productpage")[0] == 200
    assert counted[0] == 12


def test_ratings_can_be_given() -> None:
    with running("bookinfo.ratings", PORT) as (ratings, _):
        given = {"Reviewer1": 1, "Reviewer2": 2}
        status, _, body = ask(ratings, PORT, "/ratings/5", "POST", json.dumps(given).encode())
        assert (status, json.loads(body)) == (200, {"id": 5, "ratings": given})
        assert get_json(ratings, "/ratings/5") == (200, {"id": 5, "ratings": given})
        assert get_json(ratings, "/ratings/6") == (200, {"id": 6, "ratings": {"Reviewer1": 5, "Reviewer2": 4}})
        assert get_json(ratings, "/ratings/x")[0] == 400
        assert ask(ratings, PORT, "/ratings/5", "POST", b"[" * 100_000)[0] == 400
        assert ask(ratings, PORT, "/ratings/5", "DELETE")[0] == 405


def test_faulty_and_database_ratings() -> None:
    with running("bookinfo.ratings", PORT, env={"SERVICE_VERSION": "v-faulty"}) as (ratings, _):
        statuses = {ask(ratings, PORT, "/ratings/0")[0] for _ in range(60)}
    assert statuses == {200, 503}
    with running("bookinfo.ratings", PORT, env={"SERVICE_VERSION": "v2"}) as (ratings, _):
        assert ask(ratings, PORT, "/ratings/0")[0] == 500
        assert ask(ratings, PORT, "/ratings/0", "POST", b"{}")[0] == 501


VOLUME = {
    "authors": ["William Shakespeare"],
    "publishedDate": "2002",
    "printType": "BOOK",
    "pageCount": 64,
    "publisher": "Courier",
    "language": "en",
    "industryIdentifiers": [{"type": "ISBN_10", "identifier": "1"}, {"type": "ISBN_13", "identifier": "2"}],
}


def test_details_can_ask_an_outside_service_through_the_proxy_of_the_environment() -> None:
    targets: list[str] = []

    def books(request: Request) -> Response:
        targets.append(request.target)
        return json_response(200, {"items": [{"volumeInfo": VOLUME}]})

    with serving(books) as (host, port):
        variables = {
            "ENABLE_EXTERNAL_BOOK_SERVICE": "true",
            "DO_NOT_ENCRYPT": "true",
            "http_proxy": f"http://{host}:{port}",
        }
        with running("bookinfo.details", PORT, env=variables) as (details, _):
            status, book = get_json(details, "/details/0")
    assert status == 200
    assert (book["publisher"], book["pages"], book["ISBN-13"]) == ("Courier", 64, "2")
    assert targets == ["http://www.googleapis.com/books/v1/volumes?q=isbn:0486424618"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"items": []}', b'{"items": [{"volumeInfo": {}}]}'])
def test_an_answer_without_a_book_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"no book|Expecting"):
        found(0, body)


def test_a_busy_port_is_told() -> None:
    with running("bookinfo.details", PORT) as (address, _):
        done = subprocess.run(
            command("bookinfo.details"), env={"MESHWRIGHT_BIND_ADDRESS": address}, capture_output=True, check=False
        )
    assert done.returncode == 1
    assert f"details: cannot listen on {address}:9080: Address already in use" in done.stderr.decode()
