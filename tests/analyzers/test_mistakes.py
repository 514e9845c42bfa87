"""Every analyzer's findings with path, line and fix; after a wanted change `--bless` rewrites the expectations."""

import random
from pathlib import Path

import pytest
import yaml

from meshwright.analyzers.table import ANALYZERS
from meshwright.model.diagnostic import Effect
from meshwright.wiring.local_mesh import profile_texts, sample_texts, samples_folder
from tests.analyzers.scenes import CASES, Analyzed, analyze, analyzed, as_values, of_text, quick_scene_of

ROOT = Path(__file__).parents[2]
MISTAKEN = sorted((ROOT / "tests" / "kinds" / "mistakes").glob("*/in.*"))
GOLDEN = sorted((ROOT / "tests" / "golden").glob("*/*/in.yaml"))
each_case = pytest.mark.parametrize("case", CASES, ids=lambda path: path.parent.name)


@each_case
def test_findings(case: Path, pytestconfig: pytest.Config) -> None:
    found = of_text(case.read_text())
    if pytestconfig.getoption("--bless"):
        text = yaml.safe_dump(as_values(found), sort_keys=False, width=110, allow_unicode=True)
        case.with_name("expected.yaml").write_text(text)
    assert as_values(found) == yaml.safe_load(case.with_name("expected.yaml").read_text())
    assert not found.loaded.refused
    for finding in found.findings:
        place = found.loaded.lines.find(finding.origin)
        assert place is not None
        assert finding.code.effect is Effect.NOTED


@each_case
def test_the_order_of_documents_is_irrelevant(case: Path) -> None:
    documents = case.read_text().split("\n---\n")
    wanted = analyzed([(case.name, case.read_text())]).findings
    for seed in range(3):
        random.Random(seed).shuffle(documents)
        assert of_text("\n---\n".join(documents)).findings == wanted


def test_every_code_of_an_analyzer_is_shown() -> None:
    shown = {finding.code.id for case in CASES for finding in of_text(case.read_text()).findings}
    assert {code.id for analyzer in ANALYZERS for code in analyzer.codes} == shown


@pytest.mark.parametrize("path", [*MISTAKEN, *GOLDEN], ids=lambda path: f"{path.parts[-3]}-{path.parts[-2]}")
def test_nothing_crashes(path: Path) -> None:
    scene = quick_scene_of([(path.name, path.read_text())])
    assert all(finding.message and finding.fix for finding in analyze(scene))


def test_the_demo_is_free_of_findings() -> None:
    assert analyzed([*profile_texts("demo"), *sample_texts()]).findings == ()


def test_what_istio_ships_as_good_is_good() -> None:
    """The samples of Bookinfo's tasks, each beside the application."""
    base = [*profile_texts("demo"), *sample_texts()]
    told: dict[str, list[str]] = {}
    for path in sorted((samples_folder() / "bookinfo" / "networking").glob("*.yaml")):
        found: Analyzed = analyzed([*base, (path.name, path.read_text())])
        told |= {path.name: [finding.message for finding in found.findings]} if found.findings else {}
    assert told == {}
