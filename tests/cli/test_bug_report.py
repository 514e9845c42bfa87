"""`bug-report`: what is taken out, what is chosen, how it is packed; with no mesh at all it works, too."""

import asyncio
import base64
import json
import tarfile
from pathlib import Path

import pytest
import yaml

from meshwright.cli.report.archive import Archive
from meshwright.cli.report.logs import BAD, tail
from meshwright.cli.report.scrubbing import LAST_APPLIED, SECRET_NAME, Scrubber
from meshwright.cli.report.selection import Selection
from meshwright.store.engine import Place
from meshwright.store.errors import StorageError
from meshwright.store.names import Author, Key, Resource
from meshwright.store.reading import records_on_disk
from meshwright.store.sources import system_sources
from meshwright.store.sqlite_engine import SqliteEngine
from meshwright.store.store import Store
from tests.cli.runner import run

KEY = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIFakeFakeFakeFakeFakeFake\n-----END EC PRIVATE KEY-----\n"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIBxTCCAWugAwIBAgIUfFakeFakeFake\n-----END CERTIFICATE-----\n"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"


def base64_of(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"before\n{KEY}after", "MHcCAQEE"),
        (json.dumps({"file": KEY}), "MHcCAQEE"),
        (f"cut short: {KEY[:60]}", "MHcCAQEE"),
        (f"data: {base64_of(CERTIFICATE + KEY)}", base64_of(CERTIFICATE + KEY)[-40:]),
        (f"got {JWT} from a client", "c2lnbmF0dXJl"),
        ("Authorization: Bearer AbCdEf0123456789", "AbCdEf0123456789"),
        ('"authorization": "Basic dXNlcjpwYXNz"', "dXNlcjpwYXNz"),
        ("DSN is postgres://shop:pa55word@db:5432/shop", "pa55word"),
        ("started with --db-password=pa55word --port 1", "pa55word"),
        ("started with --api-key pa55word", "pa55word"),
        ('"GET /login?user=a&access_token=pa55word HTTP/1.1"', "pa55word"),
        ("http://localhost:1/#token=pa55word", "pa55word"),
        ("db:\n  password: pa55word\n  port: 1", "pa55word"),
        ("export DB_PASSWORD=pa55word", "pa55word"),
        ('{"kty":"oct","k":"c2VjcmV0c2VjcmV0c2VjcmV0"}', "c2VjcmV0c2VjcmV0"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out_of_texts(text: str, secret: str) -> None:
    assert secret in text
    scrubber = Scrubber()
    assert secret not in scrubber.text(text)
    assert scrubber.count == 1


@pytest.mark.parametrize(
    "text",
    [
        '[2026-11-21T19:42:00.174Z] "GET /details/0 HTTP/1.1" 200 - via_upstream - "-" 0 195',
        f"data: {base64_of(CERTIFICATE)}",
        CERTIFICATE,
        "spec:\n  secret:\n    secretName: tls\n  credentialName: tls\n",
        "the bearer token was not there",
        "http://localhost:8080/productpage",
        "spiffe://cluster.local/ns/default/sa/web",
    ],
)
def test_what_is_none_stays(text: str) -> None:
    scrubber = Scrubber()
    assert scrubber.text(text) == text
    assert scrubber.count == 0


def test_names_of_secrets() -> None:
    secret = ("password", "DB_PASSWORD", "clientSecret", "api-key", "my.token", "hmacSecret", "PGPASSWORD_pwd")
    harmless = ("secretName", "credentialName", "tokenPath", "monkey", "key", "compass", "PASSWORD_FILE", "tls.crt")
    assert [name for name in (*secret, *harmless) if SECRET_NAME.match(name)] == list(secret)


def test_secrets_of_values() -> None:
    applied = {"env": [{"name": "API_TOKEN", "value": "pa55word"}]}
    value = {
        "env": [{"name": "DB_PASSWORD", "value": "pa55word"}, {"name": "PORT", "value": "8000"}],
        "args": ["--token", "pa55word", "--verbose"],
        "annotations": {LAST_APPLIED: json.dumps(applied)},
        "data": {"password": "pa55word", "app.conf": "port: 1\npassword = pa55word\n"},
        "set": {"authorization": "Negotiate pa55word"},
        "match": {"x-api-key": {"exact": "pa55word"}},
        "headers": [{"name": "cookie", "string_match": {"exact": "pa55word"}}],
        "tls": {"private_key": {"inline_string": "pa55word"}},
        "volumes": [{"name": "v", "secret": {"secretName": "db"}}],
        "automountServiceAccountToken": False,
    }
    scrubber = Scrubber()
    clean = scrubber.value(value)
    assert "pa55word" not in json.dumps(clean)
    assert clean["env"][1] == {"name": "PORT", "value": "8000"}
    assert clean["args"][::2] == ["--token", "--verbose"]
    assert clean["volumes"] == value["volumes"]
    assert clean["automountServiceAccountToken"] is False
    assert clean["data"]["app.conf"].startswith("port: 1\n")
    assert scrubber.text("log: pa55word was wrong") == "log: [redacted] was wrong", "what was met is known"
    assert scrubber.value({"API_TOKEN": "disabled"}) == {"API_TOKEN": "[redacted]"}
    assert scrubber.text("it is disabled") == "it is disabled", "a mere word stands everywhere"


def test_known_secrets_in_every_form() -> None:
    scrubber = Scrubber(['pa"55 word', "first line of a file\nsecond line of it", "reviews", "short"], ["reviews"])
    for form in ('pa"55 word', 'pa\\"55 word', base64_of('pa"55 word'), "second line of it"):
        assert scrubber.text(f"<{form}>") == "<[redacted]>"
    assert scrubber.text("reviews is short") == "reviews is short"


def test_a_selection() -> None:
    some = Selection.of(["shop,default/rev*"], ["shop/db"])
    pods = [("shop", "web-1"), ("shop", "db-0"), ("default", "reviews-1"), ("default", "ratings-1"), ("other", "x")]
    assert [pod for pod in pods if some.pod(*pod)] == [("shop", "web-1"), ("default", "reviews-1")]
    assert [name for name in ("", "shop", "default", "other") if some.namespace(name)] == ["", "shop", "default"]
    assert all(Selection().pod(*pod) for pod in pods)
    assert not Selection.of([], ["shop"]).namespace("shop")


def test_an_archive_is_bounded_and_its_owners(tmp_path: Path) -> None:
    with Archive(tmp_path / "a.tar.gz", most=10) as archive:
        archive.add("small", "12345", "five")
        archive.add("big", "1234567890", "ten")
        size = archive.finish({"summary.txt": "longer than what is left"})
    assert archive.left_out == ["big"]
    assert (tmp_path / "a.tar.gz").stat().st_size == size
    assert (tmp_path / "a.tar.gz").stat().st_mode & 0o777 == 0o600
    with tarfile.open(tmp_path / "a.tar.gz") as packed:
        assert packed.getnames() == ["a/small", "a/summary.txt"]


def test_an_archive_that_is_not_finished_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> None:
        with Archive(tmp_path / "a.tar.gz") as archive:
            archive.add("small", "12345", "five")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken()
    assert list(tmp_path.iterdir()) == []


def test_the_end_of_a_log_begins_with_a_whole_line(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("first\nsecond\nthird\n")
    assert tail(log, 10) == ("third\n", True)
    assert tail(log, 100) == ("first\nsecond\nthird\n", False)


def test_lines_that_speak_of_something_broken() -> None:
    bad = ["2026-11-21 19:37:55,861 ERROR it broke", "Traceback (most recent call last):", "[1][critical][main] no"]
    good = ["2026-11-21 19:37:55,861 INFO no error", '"GET /error HTTP/1.1" 500', "[1][warning][config] x"]
    assert [line for line in (*bad, *good) if BAD.search(line)] == bad


def test_a_store_is_read_while_another_process_holds_it(tmp_path: Path) -> None:
    key = Key(Resource("", "configmaps"), "default", "one")

    async def made() -> None:
        store = await Store.open(SqliteEngine(tmp_path), system_sources())
        try:
            value = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", "namespace": "default"}}
            await store.create(key, value, Author("tester"))
            assert read() == [key]
        finally:
            await store.close()

    def read() -> list[Key]:
        with records_on_disk(tmp_path) as records:
            return [each.key for each in records.scan(Place(), records.head().revision, None, 10)]

    asyncio.run(made())
    assert read() == [key]
    (tmp_path / "objects.db").write_bytes(b"this is no database at all" * 100)
    with pytest.raises(StorageError):
        read()


# ------------------------------------------------------------ the command, without a mesh


def test_without_a_mesh_it_tells_of_the_machine(tmp_path: Path) -> None:
    done = run("bug-report", "--data", str(tmp_path / "none"), str(tmp_path / "r.tar.gz"), "-o", "json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["path"] == str(tmp_path / "r.tar.gz")
    assert answer["bytes"] == (tmp_path / "r.tar.gz").stat().st_size
    assert {"processes", "objects", "proxies", "metrics", "requests"} <= {each["what"] for each in answer["missing"]}
    with tarfile.open(tmp_path / "r.tar.gz") as packed:
        names = set(packed.getnames())
    assert {f"r/{each['path']}" for each in answer["files"]} <= names
    assert {"r/index.html", "r/summary.txt", "r/report.json", "r/machine/doctor.txt"} <= names
    assert not (tmp_path / "none").exists()


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    done = run("bug-report", "--data", str(tmp_path / "none"), "--output-dir", str(tmp_path), "--dry-run")
    assert done.returncode == 0
    assert f"would be written: {tmp_path}/meshwright-bug-report-" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("{}/report.zip",), "neither a folder nor the name of an archive"),
        (("{}/none/r.tgz",), "there is no folder"),
        (("{}/r.tgz", "--output-dir", "{}"), "name one"),
        (("{}/there.tgz",), "exists already"),
    ],
)
def test_places_that_cannot_be(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    (tmp_path / "there.tgz").touch()
    done = run("bug-report", "--data", str(tmp_path / "none"), *(word.format(tmp_path) for word in words))
    assert done.returncode == 2
    assert said in done.stderr


def test_yaml_of_a_hidden_value_is_yaml() -> None:
    text = yaml.safe_dump(Scrubber().value({"password": "pa55word"}))
    assert yaml.safe_load(text) == {"password": "[redacted]"}
