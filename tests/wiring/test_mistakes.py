"""Images that nothing stands for, volumes that nobody mounts and rules that wait are told with their line."""

from pathlib import Path

import pytest
import yaml

from meshwright.documents.render import as_json
from meshwright.wiring.image_findings import image_findings
from meshwright.wiring.loading import load
from meshwright.wiring.local_mesh import profile_texts, sample_texts
from meshwright.wiring.volume_findings import volume_findings
from meshwright.wiring.withheld import Withheld

CASES = sorted((Path(__file__).parent / "mistakes").glob("*/in.yaml"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.parent.name)
def test_the_finding_has_path_and_line(case: Path) -> None:
    loaded = load([(str(case), case.read_text())])
    told = (*image_findings(loaded.objects, loaded.catalogue), *volume_findings(loaded.objects))
    withheld, before = Withheld(), case.with_name("before.yaml")
    if before.exists():  # what was in effect until then
        withheld.in_effect(load([(str(case), case.read_text()), (str(before), before.read_text())]).objects)
    told = (*told, *withheld.in_effect(loaded.objects).findings)
    found = [as_json(each, loaded.lines) for each in told]
    wanted = yaml.safe_load(case.with_name("expected.yaml").read_text())
    assert [{key: each[key] for key in ("code", "path", "line")} for each in found] == wanted


def test_the_demo_needs_no_entry() -> None:
    loaded = load([*profile_texts("demo"), *sample_texts()])
    assert image_findings(loaded.objects, loaded.catalogue) == ()
