"""Whatever the text: no crash; and values as the usual loader reads them."""

import json
import math
import re
from typing import Any, cast

import yaml
from hypothesis import given
from hypothesis import strategies as st

from meshwright.documents import json_text, yaml_text
from meshwright.documents.document import Mark, Value, parts_of
from meshwright.documents.reader import read
from meshwright.model.origin import ObjectRef, Origin

# Texts that look like numbers are told apart in test_yaml.py: the usual loader knows fewer numbers than Kubernetes.
NUMERIC = re.compile(r"[-+.]*[0-9]")
KEYS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8).filter(
    lambda text: not NUMERIC.match(text)
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | KEYS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=20
)
YAML_WORDS = st.sampled_from([
    "a: ", "- ", "\n", "  ", "\t", "---\n", "...\n", "&x ", "*x ", "<<: ", "{", "}", "[", "]", ",", "'", '"', ": ",
    "|\n", ">-\n", "!!int ", "!t ", "# c\n", "kind: Service\n", "apiVersion: v1\n", "metadata:\n", "  name: x\n",
    "? ", "%A 1\n", "\ufeff", "\x00", "0", "1e5", "yes", "é", "\\", "items:\n", "kind: List\n",
])  # fmt: skip


def same(mine: Any, theirs: Any) -> bool:
    """Equal, numbers by type too."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        left, right = cast("dict[str, Value]", mine), cast("dict[str, Value]", theirs)
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(mine, list) and isinstance(theirs, list):
        ours, others = cast("list[Value]", mine), cast("list[Value]", theirs)
        return len(ours) == len(others) and all(map(same, ours, others))
    if isinstance(mine, float) and isinstance(theirs, float):
        return math.isclose(mine, theirs, rel_tol=1e-12)
    return type(cast("object", mine)) is type(cast("object", theirs)) and mine == theirs


def all_marked(value: Value, mark: Mark) -> bool:
    if isinstance(value, dict):
        inside = mark.inside
        return isinstance(inside, dict) and all(all_marked(item, inside[key]) for key, item in value.items())
    if isinstance(value, list):
        inside = mark.inside
        return isinstance(inside, list) and all(map(all_marked, value, inside))
    return mark.line > 0 and mark.column > 0


@given(VALUES)
def test_yaml_round_trip(value: Any) -> None:
    text = yaml.dump(value, Dumper=yaml.CSafeDumper, allow_unicode=True)
    (raw,) = yaml_text.documents_of(text)
    assert raw.problem is None
    assert same(raw.value, yaml.load(text, Loader=yaml.CSafeLoader))
    assert all_marked(raw.value, raw.mark)


@given(VALUES, st.sampled_from([None, 1]))
def test_json_round_trip(value: Any, indent: int | None) -> None:
    (raw,) = json_text.documents_of(json.dumps(value, indent=indent))
    assert raw.problem is None
    assert same(raw.value, value)
    assert all_marked(raw.value, raw.mark)


@given(st.text(max_size=300) | st.binary(max_size=300))
def test_any_text_is_read(text: str | bytes) -> None:
    parsed = read(text, "f")
    assert all(finding.fix for finding in parsed.diagnostics)
    assert all(finding.origin in parsed.places for finding in parsed.diagnostics)


@given(st.lists(YAML_WORDS, max_size=40).map("".join))
def test_anything_like_yaml_is_read(text: str) -> None:
    parsed = read(text, "f")
    lines = text.count("\n") + 2
    assert all(1 <= place.line <= lines for place in parsed.places.values())


@given(st.lists(st.sampled_from(list('{}[],:" \n1ea\\u"')), max_size=60).map("".join))
def test_anything_like_json_is_read(text: str) -> None:
    read('{"' + text, "f.json")


@given(st.lists(st.integers(0, 99) | st.sampled_from(["a", "b-c", "app.kubernetes.io/name", "x/y", ""]), min_size=1))
def test_paths_come_back(parts: list[str | int]) -> None:
    origin = Origin(ObjectRef("A", "b", "c"))
    for part in ["spec", *parts]:
        origin = origin.item(part) if isinstance(part, int) else origin.field(part)
    assert parts_of(origin.path) == ("spec", *parts)
