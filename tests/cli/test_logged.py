"""Which of the last requests is meant, and `explain --request -` on files alone."""

import json
from typing import Any

import pytest

from meshwright.cli.failure import UsageFailure
from meshwright.cli.logged import Meant, from_text
from meshwright.cli.logged_text import listing, story
from tests.cli.runner import run

ID = "01c67c1f-d087-4972-86f3-3b41b3d921d0"
LINE = (
    '[2026-01-02T03:04:05.678Z] "GET /details/0 HTTP/1.1" 555 FI fault_filter_abort - "-" 0 18 0 - "-" "curl/8" '
    f'"{ID}" "details:9080" "-" outbound|9080||details.default.svc.cluster.local - 240.240.1.2:9080 10.244.1.2:4 - -'
)
FILES = ("-f", "samples/bookinfo/platform/kube/bookinfo.yaml", "-f", "samples/bookinfo/networking/RULE.yaml")


def record(destination: str, code: str | None, flags: str = "-", **other: Any) -> dict[str, Any]:
    made = {
        "time": "1700000000.250",
        "source": "default/productpage-v1",
        "destination": destination,
        "service": f"{destination}.default.svc.cluster.local",
        "protocol": "http",
        "method": "GET",
        "path": f"/{destination}/0",
        "authority": f"{destination}:9080",
        "code": code,
        "flags": flags,
        "ms": 7,
        "id": ID,
    }
    return {**made, **other}


HOPS = [
    record("productpage", "200"),
    record("reviews", "503", "UH"),
    record("ratings", "0", "UT"),
    record("details", "200"),
]


def chosen(text: str, hop: int | None = None) -> Meant:
    found = from_text(text, hop)
    assert isinstance(found, Meant)
    return found


def test_one_record_a_list_or_one_in_each_line() -> None:
    assert chosen(json.dumps(HOPS[0])).record == HOPS[0]
    assert chosen(json.dumps(HOPS, indent=2)).record == HOPS[-1]
    assert chosen("\n".join(map(json.dumps, HOPS))).record == HOPS[-1]
    assert chosen(json.dumps(HOPS), 2).record == HOPS[1]
    with pytest.raises(UsageFailure, match="has 4 hops"):
        chosen(json.dumps(HOPS), 5)


def test_a_line_of_an_access_log_tells_its_id() -> None:
    assert from_text(f"an older one\n{LINE}\n", None) == ID
    assert from_text(json.dumps({"request_id": ID, "method": "GET", "authority": "details:9080"}), None) == ID


@pytest.mark.parametrize("text", ["", "nothing", "[1, 2]", '{"a": "b"}', "null"])
def test_what_is_neither(text: str) -> None:
    with pytest.raises(UsageFailure, match="neither a record"):
        from_text(text, None)


def test_a_story_marks_the_hop() -> None:
    text = story(chosen(json.dumps(HOPS), 3))
    marked = [line for line in text.splitlines() if line.startswith(">")]
    assert len(marked) == 1
    assert marked[0].split()[1:4] == ["3", "default/productpage-v1", "ratings"]
    assert "no answer" in marked[0]
    assert "UT: the server did not answer in time" in marked[0]
    assert text.startswith(f"request {ID} at ")


def test_the_listing_shortens_what_a_proxy_made() -> None:
    head, *lines = listing(
        [HOPS[0], record("cart", "200", id="my-own-id"), record("db", None, id=None, method=None)]
    ).splitlines()
    assert head.split() == ["TIME", "FROM", "TO", "REQUEST", "CODE", "MS", "ID", "FLAGS"]
    assert [line.split()[-2] for line in lines] == [ID[:8], "my-own-id", "-"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--request", "last", "--to", "http://a"), "leave out --from and --to"),
        (("--request", "-", "-f", "-"), "cannot both read"),
        (("--to", "http://a"), "say --from and --to, or --request"),
        ((), "say --from and --to, or --request"),
    ],
)
def test_words_that_do_not_fit(words: tuple[str, ...], sentence: str) -> None:
    done = run("explain", *words)
    assert done.returncode == 2
    assert sentence in done.stderr


def test_a_record_is_explained_by_files_without_a_mesh() -> None:
    rule = [each.replace("RULE", "fault-injection-details-v1") for each in FILES]
    done = run("explain", *rule, "--request", "-", "-o", "json", stdin=json.dumps(record("details", "200")))
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["outcome"], answer["status"]) == ("respond", 555)
    assert answer["steps"][-1]["origin"]["path"] == "spec.http[0].fault"
    assert answer["logged"] == answer["hops"][0] == record("details", "200")
    gone = record("details", "200", source="default/gone")
    done = run("explain", *rule, "--request", "-", stdin=json.dumps(gone))
    assert done.returncode == 2
    assert "does not run any more" in done.stderr


@pytest.mark.parametrize("words", [("requests",), ("explain", "--request", "last")])
def test_without_a_mesh(words: tuple[str, ...], tmp_path: Any) -> None:
    done = run(*words, env={"MESHWRIGHT_DATA": str(tmp_path / "none")})
    assert done.returncode == 3
    assert "meshwright up" in done.stderr
