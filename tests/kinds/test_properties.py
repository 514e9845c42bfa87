"""Whatever is written: no crash; and the order of documents cannot be seen."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from meshwright.documents.reader import read
from meshwright.kinds.objects import read_objects
from meshwright.kinds.schema import ListOf, MapOf, Object, Type
from meshwright.kinds.table import KINDS, Kind
from tests.kinds.cases import cases
from tests.kinds.test_mistakes import GOOD

ODD_VALUES: list[Any] = [
    None, True, 0, 1, -1, 80, 70000, 1.5, "", "a", "80", "5s", "*", "A B", "x" * 300, [], {}, ["a"], {"a": "b"},
    [None], "HTTP", "STRICT", "SIMPLE", "DNS", "STATIC", "10.0.0.0/8", "10.0.0.1", "unix:///x", "(", [{}],
    {"exact": "a"},
]  # fmt: skip
ODD: st.SearchStrategy[Any] = st.sampled_from(ODD_VALUES)
TEXTS = [case.text for case in cases() if case.file.endswith(".yaml")]


def values(shape: Type) -> st.SearchStrategy[Any]:
    """Values that look like the shape, and now and then something else."""
    if isinstance(shape, Object):
        parts = {name: values(kind) for name, kind in shape.fields.items()}
        return ODD | st.fixed_dictionaries({}, optional=parts) | st.dictionaries(st.sampled_from(["x", *parts]), ODD)
    if isinstance(shape, ListOf):
        return ODD | st.lists(values(shape.item), max_size=2)
    if isinstance(shape, MapOf):
        return ODD | st.dictionaries(
            st.sampled_from(["a", "80", "x-y", "A B", "@request.auth.claims.a"]), values(shape.value)
        )
    return ODD


def documents_of(kind: Kind) -> st.SearchStrategy[dict[str, Any]]:
    spec = kind.schema.fields.get("spec")
    body = {name: values(shape) for name, shape in kind.schema.fields.items() if name not in ("apiVersion", "kind")}
    if isinstance(spec, Object):
        body["spec"] = st.fixed_dictionaries(
            {}, optional={name: values(shape) for name, shape in spec.fields.items()}
        )
    body["metadata"] = st.just({"name": "x", "namespace": "shop"})
    return st.fixed_dictionaries({"apiVersion": st.just(kind.api_versions[0]), "kind": st.just(kind.kind), **body})


DOCUMENTS = st.sampled_from(KINDS).flatmap(documents_of)


@settings(max_examples=300)
@given(DOCUMENTS)
def test_any_document_is_read(value: dict[str, Any]) -> None:
    """Every finding has words and a place; only refused documents give no object."""
    loaded = read_objects([read(json.dumps(value), "f.json")])
    for finding in loaded.diagnostics:
        assert finding.message
        assert finding.fix
        assert loaded.lines.find(finding.origin) is not None
    made = [getattr(loaded.objects, name) for name in loaded.objects.__slots__]
    refused = any(finding.code.effect == "refused" for finding in loaded.diagnostics)
    assert any(made) != refused or value["kind"] == "PeerAuthentication"


@given(st.lists(st.sampled_from([GOOD, *TEXTS]), max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_documents_cannot_be_seen(texts: list[str], random: Any) -> None:
    shuffled = list(texts)
    random.shuffle(shuffled)
    first = read_objects([read(text, f"{index}") for index, text in enumerate(texts)])
    second = read_objects([read(text, f"{index}") for index, text in enumerate(shuffled)])
    assert first.objects == second.objects
