"""Istio's ProxyConfig in the annotation of a pod: which of Envoy's own statistics its proxy keeps."""

import pytest

from meshwright.kinds.proxy_config import ANNOTATION, OLD, kept_stats, problems
from meshwright.model.labels import Labels
from meshwright.model.origin import ObjectRef, Origin
from meshwright.model.settings import StatsMatcher

OF_MESH = StatsMatcher(("mesh",), ("of_mesh",), ("of.*mesh",))
AT = Origin(ObjectRef("Pod", "shop", "web"), "metadata.annotations")
WHOLE = """
concurrency: 2
proxyStatsMatcher:
  inclusionPrefixes: [cluster.outbound, "http.{pod_ip}_"]
  inclusionRegexps: ['.*circuit_breakers.*', '(']
"""


def kept(**annotations: str) -> StatsMatcher:
    names = {"config": ANNOTATION, "prefixes": OLD[0], "suffixes": OLD[1], "regexps": OLD[2]}
    return kept_stats(Labels.of({names[key]: text for key, text in annotations.items()}), OF_MESH)


def test_each_list_is_the_pods_or_else_the_meshs() -> None:
    assert kept() == OF_MESH
    assert kept(config="{}") == OF_MESH
    found = kept(config=WHOLE)
    assert found == StatsMatcher(("cluster.outbound", "http.{pod_ip}_"), ("of_mesh",), (".*circuit_breakers.*",))
    assert kept(config="proxyStatsMatcher: {inclusionPrefixes: []}").prefixes == ()


def test_the_old_annotations_are_taken_instead() -> None:
    assert kept(config=WHOLE, prefixes="listener, cluster.a").prefixes == ("listener", "cluster.a")
    assert kept(suffixes="rq_total,").suffixes == ("rq_total",)
    assert kept(regexps="a.*,(").regexps == ("a.*",)


@pytest.mark.parametrize("text", ["a: [", "- 1", "just text", "proxyStatsMatcher: 5", ""])
def test_what_is_wrong_is_as_if_it_were_not_there(text: str) -> None:
    assert kept(config=text) == OF_MESH


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (ANNOTATION, "a: [", "YAML: "),
        (ANNOTATION, "- 1", "expected an object"),
        (ANNOTATION, "proxyStatMatcher: {}", "did you mean `proxyStatsMatcher`?"),
        (ANNOTATION, "proxyStatsMatcher: {inclusionRegexps: ['(']}", "proxyStatsMatcher.inclusionRegexps[0]: "),
        (OLD[2], "a.*,(", "[1]: "),
    ],
)
def test_it_is_said(name: str, text: str, said: str) -> None:
    [found] = problems(name, text, AT)
    assert (found.code.id, found.origin) == ("MW0416", AT)
    assert said in found.fix


def test_what_is_fine_is_not_spoken_of() -> None:
    assert list(problems(ANNOTATION, "holdApplicationUntilProxyStarts: true\n", AT)) == []
    assert list(problems(ANNOTATION, "", AT)) == []
    assert list(problems(OLD[0], "cluster.outbound,listener", AT)) == []
