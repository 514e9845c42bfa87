"""What `meshwright install NAME` can put into a running mesh: the shipped samples and add-ons."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from meshwright.kinds.table import KINDS
from meshwright.wiring.local_mesh import sample_texts

Json = dict[str, Any]
DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Sample:
    """Files below samples/, and what they are; `fixed`: the namespaces stand in the files."""

    files: tuple[str, ...]
    what: str
    fixed: bool = False


SAMPLES: Mapping[str, Sample] = {
    "bookinfo": Sample(
        ("bookinfo/platform/kube/bookinfo.yaml", "bookinfo/networking/bookinfo-gateway.yaml"),
        "four services, reviews in three versions, behind the ingress gateway",
    ),
    "visitors": Sample(("visitors/visitors.yaml",), "five requests a second for Bookinfo's page", fixed=True),
    "helloworld": Sample(
        ("helloworld/helloworld.yaml", "helloworld/helloworld-gateway.yaml"), "one service in two versions"
    ),
    "httpbin": Sample(("httpbin/httpbin.yaml", "httpbin/httpbin-gateway.yaml"), "answers what it was asked"),
    "curl": Sample(("curl/curl.yaml",), "a pod to send requests from"),
    "sleep": Sample(("sleep/sleep.yaml",), "the same under its older name"),
    "tcp-echo": Sample(("tcp-echo/tcp-echo-services.yaml",), "a TCP service in two versions"),
    "kiali": Sample(("addons/kiali.yaml",), "add-on: the console as a Service, for kubectl port-forward", fixed=True),
}
_SCOPED = frozenset(kind.kind for kind in KINDS if kind.namespaced)


def texts_of(sample: Sample, namespace: str) -> list[Json]:
    """The sample's texts, as `apply` takes them; objects that name no namespace get this one."""
    texts = sample_texts(sample.files)
    if not sample.fixed and namespace != DEFAULT:
        texts = [(file, _placed(text, namespace)) for file, text in texts]
    return [{"file": file, "text": text} for file, text in texts]


def _placed(text: str, namespace: str) -> str:
    documents: list[Json] = [each for each in yaml.safe_load_all(text) if each]
    for document in documents:
        if document["kind"] in _SCOPED:
            document["metadata"].setdefault("namespace", namespace)
    return yaml.safe_dump_all(documents, sort_keys=False)
