"""Findings as SARIF 2.1.0, which code hosts and editors show beside the lines."""

import importlib.metadata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from meshwright.documents.render import JsonFinding
from meshwright.model import codes
from meshwright.model.diagnostic import Code, Effect

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
VERSION = "2.1.0"
LEVELS: Mapping[str, str] = {
    Effect.NOTED: "note",
    Effect.DROPPED: "warning",
    Effect.DENIED: "error",
    Effect.REFUSED: "error",
}


def sarif(findings: Iterable[JsonFinding]) -> dict[str, Any]:
    """One run; its rules are the codes that were met."""
    told = list(findings)
    ids = sorted({finding["code"] for finding in told})
    by_id = {code.id: code for code in codes.ALL}
    driver = {
        "name": "meshwright",
        "version": importlib.metadata.version("meshwright"),
        "rules": [_rule(by_id[each]) for each in ids],
    }
    results = [_result(finding, ids.index(finding["code"])) for finding in told]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": SCHEMA, "version": VERSION, "runs": [run]}


def _rule(code: Code) -> dict[str, Any]:
    blank = ["..."] * 10
    return {
        "id": code.id,
        "shortDescription": {"text": code.sentence.format(*blank)},
        "help": {"text": code.fix.format(*blank)},
        "defaultConfiguration": {"level": LEVELS[code.effect]},
        "properties": {"effect": str(code.effect), "istio": code.istio or None},
    }


def _result(finding: JsonFinding, rule: int) -> dict[str, Any]:
    ref = finding["object"]
    name = f"{ref['kind']} {ref['namespace']}/{ref['name']}" if ref["namespace"] else f"{ref['kind']} {ref['name']}"
    location: dict[str, Any] = {"logicalLocations": [{"fullyQualifiedName": f"{name} {finding['path']}".strip()}]}
    if finding["file"] is not None:
        place: dict[str, Any] = {"artifactLocation": {"uri": _uri(finding["file"])}}
        if finding["line"]:
            place["region"] = {"startLine": finding["line"]}
        location["physicalLocation"] = place
    return {
        "ruleId": finding["code"],
        "ruleIndex": rule,
        "level": LEVELS[finding["effect"]],
        "message": {"text": f"{name}: {finding['message']}. Fix: {finding['fix']}"},
        "locations": [location],
    }


def _uri(file: str) -> str:
    """A relative reference, as it was given, or a file: URI."""
    return Path(file).as_uri() if file.startswith("/") else quote(file)
