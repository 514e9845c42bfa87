"""The mistaken documents: one folder each, with the text and what has to be said about it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, cast

import yaml

from meshwright.documents.render import as_json
from meshwright.kinds.objects import Loaded

MISTAKES = Path(__file__).parent / "mistakes"


class Finding(TypedDict):
    """One finding as expected.yaml writes it."""

    code: str
    effect: str
    object: str
    path: str
    line: int | None
    message: str
    fix: str


@dataclass(frozen=True)
class Case:
    """One mistake."""

    name: str
    text: str
    file: str
    expected: list[Finding]


def cases() -> list[Case]:
    """All of them; each folder has exactly its text and its expectation."""
    found: list[Case] = []
    for folder in sorted(MISTAKES.iterdir()):
        texts = sorted(folder.glob("in.*"))
        assert {path.name for path in folder.iterdir()} == {"expected.yaml", texts[0].name}, folder.name
        expected = cast("list[Finding]", yaml.safe_load((folder / "expected.yaml").read_text()))
        found.append(Case(folder.name, texts[0].read_text(), texts[0].name, expected))
    return found


def findings_of(loaded: Loaded) -> list[Finding]:
    """What was said, in the form of expected.yaml."""
    made: list[Finding] = []
    for diagnostic in loaded.diagnostics:
        json = as_json(diagnostic, loaded.lines)
        made.append({
            "code": json["code"],
            "effect": json["effect"],
            "object": str(diagnostic.origin.object),
            "path": json["path"],
            "line": json["line"],
            "message": json["message"],
            "fix": json["fix"],
        })  # fmt: skip
    return made
