"""JSON text: values, places, mistakes."""

import json

import pytest

from meshwright.documents.json_text import is_json
from meshwright.documents.reader import read

ONE = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"a": ["\U0001f600", 1, None]}}


def test_values_and_places() -> None:
    text = json.dumps(ONE, indent=2)
    (document,) = read(text, "f.json").documents
    assert document.value == ONE
    assert document.locate("metadata.name") == ("f.json", 5, 5)
    assert document.locate("data.a[1]") == ("f.json", 10, 7)


def test_several_values_and_lists() -> None:
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": [ONE, ONE]})
    assert len(read(listed + "\n" + json.dumps(ONE), "f.json").documents) == 3
    assert len(read(json.dumps([ONE]), "f.json").documents) == 1


@pytest.mark.parametrize(
    ("text", "words", "line"),
    [
        ('{\n"a": 1,\n}', "a comma before a closing bracket", 2),
        ('{"a": [1,\n2,\n]}', "a comma before a closing bracket", 2),
        ('{"a": 1\n"b": 2}', "a comma is missing", 1),
        ('{"a": ', "the text ends too early", 1),
        ('{"a": 1}\n}', "expecting value", 2),
        ('{"a": NaN}', "NaN is no JSON number", 1),
        ('{"a": ' + "[" * 150 + "]" * 150 + "}", "100 levels", 1),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "100 levels", 1),
    ],
)
def test_mistakes(text: str, words: str, line: int) -> None:
    parsed = read(text, "f.json")
    finding = parsed.diagnostics[-1]
    assert words in finding.message
    assert parsed.places[finding.origin].line == line


def test_repeated_names_are_found() -> None:
    head = '{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"},\n'
    text = head + '"spec": {"ports": [{"port": 1,\n"port": 2}]}}'
    parsed = read(text, "f.json")
    (finding,) = parsed.diagnostics
    assert (finding.code.id, finding.origin.path) == ("MW0010", "spec.ports[0].port")
    assert parsed.places[finding.origin].line == 3
    assert parsed.documents[0].refused


def test_long_numbers_stay_text() -> None:
    text = json.dumps(ONE).replace("1,", "9" * 5000 + ",")
    (document,) = read(text, "f.json").documents
    assert document.value["data"] == {"a": ["\U0001f600", "9" * 5000, None]}


def test_what_counts_as_json() -> None:
    assert is_json(' {"a"')
    assert is_json("[\n{")
    assert not is_json("{a: 1}")
    assert not is_json("a: 1")
