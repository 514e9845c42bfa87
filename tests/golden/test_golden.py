"""Every folder tests/golden/<feature>/<case>/ is a test: in.yaml must give exactly the files beside it."""

import random
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from meshwright.model import codes
from tests.golden.harness import CASES, DIAGNOSTICS, HERE, case_name, compile_texts, compiled, rendered, texts_of

ROOT = HERE.parents[1]
FEWEST_CASES = 60
each_case = pytest.mark.parametrize("case", CASES, ids=case_name)


@each_case
def test_case(case: Path, request: pytest.FixtureRequest) -> None:
    got = rendered(case)
    if request.config.getoption("--bless"):
        for name, text in got.items():
            (case / name).write_text(text)
    kept = {path.name: path.read_text() for path in case.iterdir() if path.name != "in.yaml"}
    assert got == kept  # also fails for a file that nothing produces any more


@each_case
def test_order_comments_and_labels_that_nothing_selects_change_no_byte(case: Path) -> None:
    """All of it at once; when that fails, each alone, to name the one that means something."""
    texts, wanted = texts_of(case), compiled(case).all_bytes()

    def differs(*changes: Callable[[str], str]) -> bool:
        changed = {name: reduce(lambda made, change: change(made), changes, text) for name, text in texts.items()}
        return compile_texts(dict(reversed(changed.items()))).all_bytes() != wanted

    if differs(*MEANINGLESS):
        assert [change.__name__ for change in MEANINGLESS if differs(change)] == []
        raise AssertionError("only all of them together mean something")


def test_there_are_cases() -> None:
    assert len(CASES) >= FEWEST_CASES


def test_no_folder_is_left_over() -> None:
    """A case without in.yaml, or deeper than two folders, would never run."""
    folders = {path.parent for path in HERE.glob("*/**/*.yaml")}
    assert folders == set(CASES)


def test_every_code_is_shown() -> None:
    """By a golden case, or, for codes of readers, wiring and analyzers, by a mistaken document of theirs."""
    folders = (ROOT / "tests/kinds/mistakes", ROOT / "tests/wiring/mistakes", ROOT / "tests/analyzers/mistakes")
    mistakes = [path for folder in folders for path in folder.glob("*/expected.yaml")]
    expected = (*HERE.glob(f"*/*/{DIAGNOSTICS}"), *mistakes)
    told = "\n".join(path.read_text() for path in expected)
    assert [code.id for code in codes.ALL if code.id not in told] == []
    assert len({code.id for code in codes.ALL}) == len(codes.ALL)


def _labelled(text: str) -> str:
    try:
        documents = cast("list[dict[str, Any] | None]", list(yaml.load_all(text, yaml.CSafeLoader)))
    except yaml.YAMLError:
        return text  # a case about text that is not YAML
    for document in documents:
        _label(document)
    return yaml.dump_all(documents, Dumper=yaml.CSafeDumper, sort_keys=False)


def _shuffled(text: str) -> str:
    documents = _split(text)
    random.Random(len(text)).shuffle(documents)
    return "\n---\n".join(documents)


def _commented(text: str) -> str:
    return "\n---\n".join(f"\n# a comment\n\n{document}\n# another\n" for document in _split(text))


MEANINGLESS = (_labelled, _shuffled, _commented)


def _split(text: str) -> list[str]:
    return [part.strip("\n") for part in f"\n{text}".split("\n---")]


def _label(document: dict[str, Any] | None) -> None:
    """One more label on the object, and on the pods of a Deployment."""
    if not isinstance(document, dict) or not isinstance(document.get("metadata"), dict):
        return
    holders = [document["metadata"]]
    if document.get("kind") in ("Deployment", "StatefulSet"):
        holders.append(document["spec"]["template"]["metadata"])
    for holder in holders:
        holder["labels"] = {**(holder.get("labels") or {}), "golden.test/selected-by": "nobody"}
