"""Documents without their indentation are mended when there is one way to read them, and left alone otherwise."""

from pathlib import Path

import pytest
import yaml

from meshwright.kinds.mending import mended

NETWORKING = Path(__file__).resolve().parents[2] / "samples/bookinfo/networking"
FILES = sorted(NETWORKING.glob("*.yaml"))


def flush_left(text: str) -> str:
    """As a browser may paste it."""
    return "\n".join(line.lstrip() for line in text.splitlines()) + "\n"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_is_mended_is_what_was_written(file: Path) -> None:
    """Wherever it is certain; a few of Istio's own samples can be read in more than one way."""
    text = file.read_text()
    found = mended(flush_left(text))
    if found is not None:
        assert list(yaml.safe_load_all(found)) == [each for each in yaml.safe_load_all(text) if each]


def test_most_rules_can_be_mended() -> None:
    done = [file.stem for file in FILES if mended(flush_left(file.read_text())) is not None]
    assert len(done) >= 0.8 * len(FILES), done


def test_the_rule_of_the_first_tutorial() -> None:
    text = """
# pasted
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata:
name: reviews
spec:
hosts:
- reviews
http:
- route:
- destination:
host: reviews
subset: v1
"""
    assert (
        mended(text)
        == """apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts:
  - reviews
  http:
  - route:
    - destination:
        host: reviews
        subset: v1
"""
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n",
        "apiVersion: v1\nkind: Nonsense\nmetadata:\nname: shop\n",
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  nam: shop\n",
        "apiVersion: v1\nkind: Namespace\nmetadata:\nname: shop\nnobody: knows\n",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\nname: text\ndata:\nkey: |\nmore: lines\n",
        "apiVersion: v1\nkind: [\n",
        "- - a\n",
    ],
)
def test_what_is_right_or_not_certain_is_left_alone(text: str) -> None:
    assert mended(text) is None


def test_two_readings_are_one_too_many() -> None:
    text = "apiVersion: v1\nkind: Namespace\nmetadata:\nname: shop\nlabels:\na: b\nannotations:\nc: d\nnamespace: x\n"
    assert mended(text) is None, "`namespace` may be an annotation"
