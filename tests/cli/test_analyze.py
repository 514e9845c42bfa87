"""`analyze` on files, folders and a piped List: forms, thresholds, suppression, and no privilege."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.runner import MESHWRIGHT, ROOT, run

MISTAKES = ROOT / "tests" / "analyzers" / "mistakes"
SHADOWED = str(MISTAKES / "match-shadowed" / "in.yaml")
KEYS = {"code", "object", "message", "path", "line", "effect", "file", "fix", "istio"}
UNKNOWN_HOST = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: other}
spec:
  hosts: [nobody]
  http: [{route: [{destination: {host: nobody}}]}]
"""
REFUSED = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec: {hostz: [a]}
"""


def piped_list() -> str:
    """What `kubectl get -A -o yaml` prints of a cluster, with a few mistakes beside."""
    documents = list(yaml.safe_load_all((ROOT / "tests/kinds/documents/from-a-cluster.yaml").read_text()))
    items: list[Any] = []
    for document in documents:
        items += document["items"] if document["kind"] == "List" else [document]
    for case in ("match-shadowed", "policy-in-root-namespace"):
        items += yaml.safe_load_all((MISTAKES / case / "in.yaml").read_text())
    return yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": items, "metadata": {"resourceVersion": ""}})


def codes_of(output: str) -> list[str]:
    return [each["code"] for each in json.loads(output)]


def places(output: str) -> list[tuple[str, str, int]]:
    return [(each["code"], each["path"], each["line"]) for each in json.loads(output)]


def test_json_is_the_contract() -> None:
    done = run("analyze", "-f", SHADOWED, "-o", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [each["code"] for each in found] == ["MW0113", "MW0113"]
    assert all(set(each) == KEYS for each in found)
    assert found[0]["object"] == {"kind": "VirtualService", "namespace": "default", "name": "shop"}
    assert (found[0]["path"], found[0]["line"], found[0]["effect"]) == ("spec.http[1].match[0]", 27, "noted")
    assert found[0]["istio"] == "IST0130"


def test_the_table_tells_place_words_and_fix() -> None:
    done = run("analyze", "-f", SHADOWED)
    first, second, third, *_, last = done.stdout.splitlines()
    assert first.split("   ") == ["noted", "MW0113 (IST0130)", "VirtualService default/shop", f"{SHADOWED}:27"]
    assert second.startswith("    spec.http[1].match[0]: never reached")
    assert third.startswith("    fix: ")
    assert last == "2 findings: 2 noted"


def test_nothing_found_is_said() -> None:
    done = run("analyze", "-f", "samples/bookinfo/platform/kube/bookinfo.yaml")
    assert (done.returncode, done.stdout) == (0, "nothing found\n")


@pytest.mark.parametrize("command", [("analyze",), ("explain", "--from", "a.b", "--to", "http://x/"), ("apply",)])
def test_an_empty_pipe_is_no_clean_bill_of_health(command: tuple[str, ...]) -> None:
    done = run(*command, "-f", "-", stdin="\n")
    assert (done.returncode, done.stdout) == (2, "")
    assert "standard input is empty" in done.stderr


@pytest.mark.parametrize(
    ("threshold", "text", "code"),
    [
        ("note", Path(SHADOWED).read_text(), 1),
        ("Warning", Path(SHADOWED).read_text(), 1),
        ("Error", Path(SHADOWED).read_text(), 0),
        ("error", UNKNOWN_HOST, 1),
        ("denied", UNKNOWN_HOST, 0),
        ("refused", REFUSED, 1),
    ],
)
def test_the_threshold_decides_about_the_exit_code(threshold: str, text: str, code: int) -> None:
    done = run("analyze", "-f", "-", "--failure-threshold", threshold, stdin=text)
    assert done.returncode == code, (done.stdout, done.stderr)


def test_findings_are_suppressed_by_code_and_object() -> None:
    quiet = run("analyze", "-f", SHADOWED, "-o", "json", "-S", "MW0113=VirtualService shop.default")
    assert codes_of(quiet.stdout) == []
    by_number = run("analyze", "-f", SHADOWED, "-o", "json", "-S", "IST0130=VirtualService *")
    assert codes_of(by_number.stdout) == []
    other = run("analyze", "-f", SHADOWED, "-o", "json", "-S", "IST0130=VirtualService cart.default")
    assert len(codes_of(other.stdout)) == 2
    assert run("analyze", "-f", SHADOWED, "-S", "MW0113").returncode == 2


@pytest.mark.parametrize("word", ["MW0113", "ist0130", "*", "MW0001, IST0130"])
def test_an_annotation_suppresses(word: str) -> None:
    text = Path(SHADOWED).read_text()
    head = "kind: VirtualService\nmetadata: {name: shop"
    assert head in text
    text = text.replace(head, f'{head}, annotations: {{galley.istio.io/analyze-suppress: "{word}"}}')
    assert codes_of(run("analyze", "-f", "-", "-o", "json", stdin=text).stdout) == []


def test_namespaces_are_chosen() -> None:
    both = f"{Path(SHADOWED).read_text()}---{UNKNOWN_HOST}"
    for words, spaces in (((), {"default", "other"}), (("-A",), {"default", "other"}), (("-n", "other"), {"other"})):
        done = run("analyze", "-f", "-", "-o", "json", *words, stdin=both)
        assert {each["object"]["namespace"] for each in json.loads(done.stdout)} == spaces
    assert run("analyze", "-f", "-", "-n", "a", "-A", stdin=both).returncode == 2


def test_sarif_has_all_that_the_standard_asks_for() -> None:
    done = run("analyze", "-f", str(MISTAKES), "-f", "-", "-o", "sarif", stdin=REFUSED)
    assert done.returncode == 1
    log = json.loads(done.stdout)
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-2.1.0.json")
    [made] = log["runs"]
    rules = made["tool"]["driver"]["rules"]
    assert made["tool"]["driver"]["name"] == "meshwright"
    assert len({rule["id"] for rule in rules}) == len(rules) > 1
    assert all(rule["shortDescription"]["text"] and rule["help"]["text"] for rule in rules)
    assert made["results"]
    for result in made["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in {"none", "note", "warning", "error"}
        assert result["message"]["text"]
        [location] = result["locations"]
        uri = location["physicalLocation"]["artifactLocation"]["uri"]
        assert " " not in uri
        assert "<" not in uri
        assert uri.startswith("file:///") or not uri.startswith("/")
        assert location["physicalLocation"]["region"]["startLine"] >= 1
        assert location["logicalLocations"][0]["fullyQualifiedName"]


def test_a_piped_list_needs_no_privilege_and_no_mesh(tmp_path: Path) -> None:
    """As nobody, without a home; the same from standard input, a file and a folder."""
    if not shutil.which("setpriv"):
        pytest.fail("setpriv (util-linux) is missing")
    text = piped_list()
    words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]
    folder = tmp_path / "all"
    folder.mkdir()
    (folder / "list.yaml").write_text(text)
    here = run("analyze", "-f", str(folder), "-o", "json")
    done = subprocess.run(
        [*words, str(MESHWRIGHT), "analyze", "-f", "-", "-o", "json"],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {"MW0113", "MW0506"} <= {each["code"] for each in found}
    assert all(each["file"] == "<stdin>" and each["line"] for each in found)
    assert places(done.stdout) == places(here.stdout)


def test_without_a_mesh(tmp_path: Path) -> None:
    done = run("analyze", env={"MESHWRIGHT_DATA": str(tmp_path / "none")})
    assert done.returncode == 3
    assert "meshwright up" in done.stderr
