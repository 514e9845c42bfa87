"""The table of kinds, the codes and the pages made from them."""

import subprocess
import sys
from pathlib import Path

import pytest

from meshwright.documents.identity import CLUSTER_SCOPED
from meshwright.kinds.schema import ListOf, MapOf, Object, Type
from meshwright.kinds.table import KINDS
from meshwright.model import codes
from meshwright.model.diagnostic import Code
from tests.kinds.cases import cases

ROOT = Path(__file__).parent.parent.parent


def test_names_are_unique() -> None:
    names = [(kind.group, kind.kind) for kind in KINDS]
    assert len(set(names)) == len(names)
    words = [word for kind in KINDS for word in (kind.plural, kind.singular, *kind.short_names)]
    assert len(set(words)) == len(words)


def test_rows_hold_together() -> None:
    for kind in KINDS:
        assert kind.storage in kind.versions
        assert kind.singular == kind.kind.lower()
        assert kind.namespaced == (kind.kind not in CLUSTER_SCOPED)
        assert {"apiVersion", "kind", "metadata"} <= set(kind.schema.fields)


def objects_in(shape: Type) -> list[Object]:
    if isinstance(shape, Object):
        return [shape, *(found for inner in shape.fields.values() for found in objects_in(inner))]
    if isinstance(shape, ListOf):
        return objects_in(shape.item)
    return objects_in(shape.value) if isinstance(shape, MapOf) else []


def test_schemas_name_only_fields_they_have() -> None:
    for kind in KINDS:
        for shape in objects_in(kind.schema):
            assert set(shape.required) <= set(shape.fields)
            assert {name for group in shape.one_of for name in group} <= set(shape.fields)
            assert not shape.others & set(shape.fields)
            assert not shape.single or shape.single in shape.fields


def test_all_codes_stand_in_the_table_once() -> None:
    named = [value for value in vars(codes).values() if isinstance(value, Code)]
    assert len({code.id for code in codes.ALL}) == len(codes.ALL)
    assert set(named) == set(codes.ALL)


def test_every_code_of_this_floor_has_a_case() -> None:
    """Except the finding about a document that is only repeated, which has a test of its own."""
    told = {finding["code"] for case in cases() for finding in case.expected}
    own = {code.id for code in codes.SHELL} - {codes.REPEATED_OBJECT.id}
    own |= {codes.FAULT_NEVER_FIRES.id, codes.EMPTY_FAULT.id, codes.BAD_REGEX.id, codes.CREDENTIAL_IGNORED.id}
    own |= {codes.POLICY_DENIES.id, codes.PORT_MODE_NEEDS_SELECTOR.id}
    assert own <= told


@pytest.mark.parametrize("tool", ["codes_page", "kinds_page"])
def test_pages_are_up_to_date(tool: str) -> None:
    run = subprocess.run([sys.executable, ROOT / "tools" / f"{tool}.py", "--check"], check=False)
    assert run.returncode == 0, f"run tools/{tool}.py"
