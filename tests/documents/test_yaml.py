"""YAML text: values as Kubernetes reads them, places, limits, mistakes."""

import pytest
import yaml

from meshwright.documents.document import Value
from meshwright.documents.reader import MAX_SIZE, read
from meshwright.documents.yaml_text import documents_of

HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n"


def value_of(text: str) -> Value:
    (raw,) = documents_of(text)
    assert raw.problem is None
    return raw.value


WORDS = """yes no on off true false True False YES NO On OFF null ~ Null 1 -1 +1 0 0644 0x1F 0b101 1_000 1.5 -0.5 .5
1. 1.5e+3 v1 1.2.3 10.0.0.1 abc 'yes' "80" '' 2001-1-1x 1e 0x -- + . 12ab !!str"""


@pytest.mark.parametrize("word", WORDS.split())
def test_scalars_as_the_usual_loader(word: str) -> None:
    assert value_of(f"a: {word}\n") == yaml.load(f"a: {word}\n", Loader=yaml.CSafeLoader)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("2026-11-21", "2026-11-21"),
        ("2026-11-21T10:00:00Z", "2026-11-21T10:00:00Z"),
        ("12:30", "12:30"),
        ("1e3", 1000.0),
        ("0o17", 15),
        ("y", True),
        ("Y", True),
        ("n", False),
        ("N", False),
        ("'y'", "y"),
        ("089", "089"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("1e999", "1e999"),
        ("9" * 500, "9" * 500),
        ("!!str 80", "80"),
        ('!!int "80"', 80),
    ],
)
def test_scalars_where_kubernetes_differs(word: str, value: Value) -> None:
    assert value_of(f"a: {word}\n") == {"a": value}


def test_places() -> None:
    text = "# comment\n\n" + HEAD + "data:\n  list:\n  - a: 1\n    b: {c: 2, d.e/f: 3}\n"
    (document,) = read(text, "f.yaml").documents
    assert document.locate("") == ("f.yaml", 3, 1)
    assert document.locate("metadata.name") == ("f.yaml", 6, 3)
    assert document.locate("data.list[0]") == ("f.yaml", 9, 5)
    assert document.locate("data.list[0].b.c") == ("f.yaml", 10, 9)
    assert document.locate('data.list[0].b["d.e/f"]') == ("f.yaml", 10, 15)


def test_a_field_that_is_not_written_is_at_its_nearest_parent() -> None:
    (document,) = read(HEAD + "data:\n  list:\n  - a\n", "f.yaml").documents
    assert document.locate("data.list[7].x").line == 6
    assert document.locate("data.nothing.below").line == 5
    assert document.locate("nothing").line == 1


def test_merge_keys_and_anchors() -> None:
    text = "base: &b {x: 1, y: 2}\nother: &o {y: 3, z: 4}\nuse:\n  y: 9\n  <<: *b\nboth:\n  <<: [*b, *o]\n"
    made = value_of(text)
    assert made == yaml.load(text, Loader=yaml.CSafeLoader)
    quoted = value_of('"<<": 1\n')
    assert quoted == {"<<": 1}


def test_repeated_values_are_bounded() -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 40)]
    (raw,) = documents_of("\n".join(rows))
    assert raw.problem is not None
    assert "repeated values" in raw.problem.sentence


def test_an_alias_cannot_hold_itself() -> None:
    (raw,) = documents_of("a: &x\n  b: *x\n")
    assert raw.problem is not None


def test_size_is_bounded() -> None:
    parsed = read("a" * (MAX_SIZE + 1), "f.yaml")
    assert [finding.code.id for finding in parsed.diagnostics] == ["MW0013"]


def test_documents_of_every_spelling() -> None:
    text = f"%YAML 1.1\n# hello\n---\n{HEAD}--- # second\n{HEAD}...\n---\n{HEAD}---\n---\n# nothing\n"
    parsed = read(text, "f.yaml")
    assert [document.index for document in parsed.documents] == [0, 1, 2]
    assert parsed.diagnostics == ()
    assert [document.locate("kind").line for document in parsed.documents] == [5, 10, 16]


def test_separator_inside_a_block_scalar_ends_the_document() -> None:
    text = HEAD + "data:\n  a: |\n    ---\n    text\n"
    (document,) = read(text, "f.yaml").documents
    assert document.value["data"] == {"a": "---\ntext\n"}


def test_lists_are_flattened() -> None:
    item = HEAD.replace("\n", "\n  ").rstrip(" ").replace("apiVersion", "- apiVersion", 1)
    text = f"apiVersion: v1\nkind: List\nitems:\n{item}{item.replace('name: x', 'name: z')}"
    parsed = read(text, "f.yaml")
    assert [(document.ref.name, document.locate("").line) for document in parsed.documents] == [("x", 4), ("z", 8)]


def test_typed_lists_give_their_kind_to_their_items() -> None:
    text = "apiVersion: networking.istio.io/v1\nkind: VirtualServiceList\nitems:\n- metadata: {name: x}\n"
    (document,) = read(text, "f.yaml").documents
    assert (document.ref.kind, document.value["apiVersion"]) == ("VirtualService", "networking.istio.io/v1")
    assert read("apiVersion: v1\nkind: List\nitems: []\n", "f.yaml") == read("", "f.yaml")


def test_broken_documents_do_not_hide_the_others() -> None:
    text = f"{HEAD}---\nkind: Service\n\tbad\n---\n{HEAD}"
    parsed = read(text, "f.yaml")
    assert [document.ref.kind for document in parsed.documents] == ["ConfigMap", "ConfigMap"]
    (finding,) = parsed.diagnostics
    assert parsed.places[finding.origin].line == 7


def test_bytes() -> None:
    assert read(HEAD.encode("utf-8-sig"), "f").documents[0].ref.name == "x"
    assert read(HEAD.encode("utf-16"), "f").documents[0].ref.name == "x"
    assert read(HEAD.replace("\n", "\r\n").encode(), "f").documents[0].locate("metadata.name").line == 4
    (finding,) = read(b"a: 1\nb: \xff\n", "f").diagnostics
    assert "UTF-8" in finding.message
    assert "line 2" in finding.fix
    (finding,) = read("a: \ud800\n", "f").diagnostics
    assert finding.code.id == "MW0001"


@pytest.mark.parametrize(
    "text",
    [
        "password: hunter2\n  hunter2: x\n",
        "password:hunter2\nuser: x\n",
        "password: *hunter2\n",
        "password: !hunter2 x\n",
        "password: @hunter2\n",
        'password: "hunter2\n',
        "? [hunter2]\n: 1\n",
    ],
)
def test_no_value_stands_in_a_sentence(text: str) -> None:
    secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\nstringData:\n"
    body = "".join(f"  {line}\n" for line in text.splitlines())
    parsed = read(secret + body, "f.yaml")
    assert parsed.diagnostics
    assert not any("hunter2" in finding.message + finding.fix for finding in parsed.diagnostics)
