"""Every mistaken document gets object, field path, line and fix, and a good document beside it still loads.

After a wanted change `pytest tests/kinds --bless` rewrites the expectations; read the difference.
"""

import pytest
import yaml

from meshwright.documents.identity import FILE
from meshwright.documents.reader import read
from meshwright.documents.render import render
from meshwright.kinds.objects import Loaded, read_objects
from tests.kinds.cases import MISTAKES, Case, cases, findings_of

GOOD = """\
apiVersion: v1
kind: Service
metadata:
  name: good
  namespace: beside
spec:
  selector:
    app: good
  ports:
  - port: 80
    name: http
"""
CASES = cases()


def load(case: Case) -> Loaded:
    return read_objects([read(case.text, case.file)])


def good_services(loaded: Loaded) -> list[str]:
    return [service.meta.name for service in loaded.objects.services if service.meta.namespace == "beside"]


def test_there_are_enough() -> None:
    assert len(CASES) >= 40


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_finding(case: Case, pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("--bless"):
        made = yaml.safe_dump(findings_of(load(case)), sort_keys=False, width=110, allow_unicode=True)
        (MISTAKES / case.name / "expected.yaml").write_text(made)
        return
    assert findings_of(load(case)) == case.expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_object_path_line_and_fix(case: Case) -> None:
    loaded = load(case)
    first = loaded.diagnostics[0]
    place = loaded.lines.find(first.origin)
    assert first.origin.object.kind
    assert first.origin.object.name
    assert first.origin.path
    assert first.fix
    assert place is not None
    assert place.file == case.file
    assert 1 <= place.line <= case.text.count("\n") + 1
    assert f"{case.file}:{place.line}:" in render(first, loaded.lines)
    if first.origin.object.kind != FILE:
        assert str(first.origin.object) in render(first, loaded.lines)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_good_documents_beside_it_load(case: Case) -> None:
    assert good_services(read_objects([read(GOOD, "good.yaml"), read(case.text, case.file)])) == ["good"]
    if case.file.endswith(".yaml"):
        before, after = f"{GOOD}---\n{case.text}", f"{case.text}---\n{GOOD}"
        assert good_services(read_objects([read(before, case.file)])) == ["good"]
        assert good_services(read_objects([read(after, case.file)])) == ["good"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_lines_count_from_the_start_of_the_file(case: Case) -> None:
    if case.file.endswith(".json"):
        return
    shifted = read_objects([read(f"{GOOD}---\n{case.text}", case.file)])
    moved = [
        None if found["line"] is None else found["line"] + GOOD.count("\n") + 1
        for found in case.expected
        if not found["object"].startswith(FILE)
    ]
    assert [found["line"] for found in findings_of(shifted) if not found["object"].startswith(FILE)] == moved


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_refused_object_is_left_out(case: Case) -> None:
    """Unless it is a security object: that one denies."""
    effects = {finding["effect"] for finding in case.expected}
    objects = load(case).objects
    used = [*objects.virtual_services, *objects.destination_rules, *objects.gateways, *objects.deployments]
    if "denied" in effects:
        assert [policy.mode for policy in objects.peer_authentications] == ["STRICT"]
    elif case.name in ("declared-twice", "declared-three-times"):
        assert len(objects.services) == 1
    elif "refused" in effects:
        assert not used
        assert not objects.services
        assert not objects.secrets
    elif case.name != "kind-of-apps-misspelt":
        assert len(used) == 1


def test_a_secret_is_never_repeated() -> None:
    case = next(case for case in CASES if case.name == "secret-not-base64")
    assert not any("s3cr3t" in str(finding) for finding in findings_of(load(case)))
