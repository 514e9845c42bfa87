"""Findings for people and programs, and the index of lines."""

from meshwright.documents.lines import Lines
from meshwright.documents.reader import read
from meshwright.documents.render import as_json, render
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.origin import ObjectRef, Origin

TEXT = "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n  namespace: shop\nspec:\n  prts: []\n"
REF = ObjectRef("Service", "shop", "a")
FINDING = Diagnostic(codes.UNKNOWN_FIELD, Origin(REF, "spec.prts"), ("`prts`", "did you mean `ports`?"))


def lines_of(text: str) -> Lines:
    return Lines.of([read(text, "a.yaml")])


def test_one_line_for_people() -> None:
    assert render(FINDING, lines_of(TEXT)) == (
        "a.yaml:7: Service shop/a spec.prts: unknown field `prts`. Fix: did you mean `ports`? [MW0003, refused]"
    )
    assert render(FINDING, Lines()).startswith("Service shop/a spec.prts: unknown")


def test_text_that_names_no_object_is_told_by_its_file() -> None:
    parsed = read("a: [", "b.yaml")
    (finding,) = parsed.diagnostics
    assert render(finding, Lines.of([parsed])).startswith("b.yaml:1: not readable")


def test_json() -> None:
    assert as_json(FINDING, lines_of(TEXT)) == {
        "code": "MW0003",
        "object": {"kind": "Service", "namespace": "shop", "name": "a"},
        "message": "unknown field `prts`",
        "path": "spec.prts",
        "line": 7,
        "effect": "refused",
        "file": "a.yaml",
        "fix": "did you mean `ports`?",
        "istio": "IST0106",
    }
    unknown = as_json(FINDING, Lines())
    assert (unknown["line"], unknown["file"]) == (None, None)


def test_the_first_document_answers() -> None:
    lines = Lines.of([read(TEXT, "a.yaml"), read("\n\n" + TEXT, "b.yaml")])
    place = lines.find(Origin(REF, "metadata.name"))
    assert place is not None
    assert (place.file, place.line) == ("a.yaml", 4)
    assert lines.find(Origin(ObjectRef("Service", "shop", "b"))) is None
