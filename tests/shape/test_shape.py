"""The shape of the code base: what no other tool checks."""

import ast
import dataclasses
import re
import subprocess
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from meshwright.model import codes
from meshwright.model.snapshot import Snapshot

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "meshwright"
LONGEST_FILE = 600
GENERATED = "src/meshwright/envoyapi/"
PACKAGES = sorted(path.parent.name for path in SOURCE.glob("*/__init__.py"))
ENTRY = re.compile(r"`([\w/]+)\.(\w+)(?:\.\w+)?`")  # `module.Name`, `module.Name.method`, `module.py`
FEATURES = sorted(path.stem for path in (SOURCE / "compiler" / "features").glob("[!_]*"))
# features whose meaning is a field of a larger value
PART_OF = {
    "metrics": "settings",
    "consistent_hash": "load_balancing",
    "mutual_tls": "peer_authentication",
    "timeout": "virtual_service",
    "traffic_split": "virtual_service",
}
MAY_SERIALISE = {"src/meshwright/compiler/proto.py", "src/meshwright/compiler/encode.py"}
MARKS = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b")
# no file may lead back to the place where it was written, or to a package registry
FOREIGN = re.compile(
    "|".join(("/wo" + "rk/", r"py" + r"pi\.org", r"pythonhos" + r"ted\.org", r"registry\.np" + "mjs"))
)
QUIET = (
    ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign,
)  # fmt: skip


def tracked() -> list[str]:
    """Files that git knows or would take, without what is generated."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return sorted(name for name in listed.stdout.splitlines() if (ROOT / name).is_file())


FILES = tracked()
PYTHON = [name for name in FILES if name.endswith(".py")]
PRODUCT = [name for name in PYTHON if name.startswith("src/meshwright/")]


def text_of(name: str) -> str:
    return (ROOT / name).read_text(errors="replace")


@pytest.mark.parametrize("name", PYTHON)
def test_a_file_stays_readable(name: str) -> None:
    text = text_of(name)
    assert len(text.splitlines()) <= LONGEST_FILE
    assert not MARKS.search(text), "open an issue, or do it now"


@pytest.mark.parametrize("name", PRODUCT)
def test_a_module_says_what_it_is_and_importing_it_does_no_work(name: str) -> None:
    body = ast.parse(text_of(name)).body
    assert body, "a docstring is missing"
    assert isinstance(body[0], ast.Expr), "a docstring is missing"
    loud = [ast.unparse(node) for node in body[1:] if not isinstance(node, QUIET) and not _is_quiet(node)]
    assert loud == []


def _is_quiet(node: ast.stmt) -> bool:
    """The two forms at the end or the head of a program, and strings that explain an assignment."""
    if isinstance(node, ast.If):
        return ast.unparse(node.test) in ("__name__ == '__main__'", "TYPE_CHECKING")
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_where_to_begin(package: str) -> None:
    """Its docstring names modules, classes or functions of it, and they exist."""
    folder = SOURCE / package
    named = ENTRY.findall(ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or "")
    assert named, "say what it is, and where a newcomer begins to read"
    for module, name in named:
        if name in ("py", "yaml"):
            assert ((folder / f"{module}.{name}").exists()) or (SOURCE / f"{module}.{name}").exists(), module
        else:
            assert re.search(rf"\b(def|class) {name}\b", (folder / f"{module}.py").read_text()), f"{module}.{name}"


@pytest.mark.parametrize("feature", FEATURES)
def test_a_feature_has_its_parts_under_one_name(feature: str) -> None:
    parts = [
        SOURCE / "model" / f"{PART_OF.get(feature, feature)}.py",
        ROOT / "tests" / "golden" / feature,
        ROOT / "tests" / "live" / f"test_{feature}.py",
        ROOT / "docs" / "features" / f"{feature}.md",
    ]
    assert [str(part.relative_to(ROOT)) for part in parts if not part.exists()] == []


def test_features_are_found() -> None:
    assert FEATURES
    assert set(PART_OF) <= set(FEATURES)


def test_few_places_make_bytes_of_messages() -> None:
    """Plain Pack and SerializeToString let the order of insertion leak into bytes and versions."""
    makers = re.compile(r"\.(Pack|SerializeToString|SerializePartialToString)\(")
    compiler = [name for name in PRODUCT if name.startswith("src/meshwright/compiler/")]
    assert {name for name in compiler if makers.search(text_of(name))} <= MAY_SERIALISE


def test_no_private_bytes_can_be_reached_from_the_snapshot() -> None:
    seen: set[object] = set()

    def visit(kind: object) -> None:
        if kind not in seen:
            seen.add(kind)
            parts = get_type_hints(kind).values() if isinstance(kind, type) and dataclasses.is_dataclass(kind) else ()
            for part in (*parts, *get_args(kind)):
                visit(part)

    visit(Snapshot)
    assert len(seen) > len(dataclasses.fields(Snapshot)), "the visit went nowhere"
    assert not seen & {bytes, bytearray, memoryview}


def test_every_code_is_unique_and_listed() -> None:
    listed = [code.id for code in codes.ALL]
    defined = [value.id for value in vars(codes).values() if isinstance(value, codes.Code)]
    assert len(set(listed)) == len(listed)
    assert sorted(set(defined)) == sorted(listed)


def test_no_file_names_the_machine_it_was_written_on_or_a_registry() -> None:
    assert [name for name in FILES if FOREIGN.search(text_of(name))] == []
