"""Deployments become pods: names, addresses, who has a proxy, who is a gateway."""

from dataclasses import replace

import pytest

from meshwright.model.config import MeshNamespace
from meshwright.model.gateway import Gateway
from meshwright.model.labels import Labels
from meshwright.model.meta import Meta
from meshwright.model.objects import MeshObjects
from meshwright.model.origin import ObjectRef
from meshwright.model.pod import Deployment, Pod, PodTemplate
from meshwright.model.proxy import Role
from meshwright.model.settings import MeshSettings
from meshwright.wiring.planning import owner_of, plan
from meshwright.wiring.snapshot import offline_snapshot

SETTINGS = MeshSettings()


def meta(kind: str, name: str, namespace: str = "default", **labels: str) -> Meta:
    return Meta(ObjectRef(kind, namespace, name), labels=Labels.of(labels))


def template(**labels: str) -> PodTemplate:
    """Underscores in label names stand for dashes."""
    dashed = {name.replace("_", "-"): value for name, value in labels.items()}
    return PodTemplate(Labels.of(dashed), Labels(), "bookinfo", ())


def deployment(name: str, replicas: int = 1, **labels: str) -> Deployment:
    return Deployment(meta("Deployment", name), replicas, Labels.of(labels), template(**labels))


def test_replicas_become_pods_with_names_as_kubernetes_gives_them() -> None:
    pods = plan(MeshObjects(deployments=(deployment("reviews-v1", 3, app="reviews"),)), SETTINGS)
    names = [pod.meta.name for pod in pods]
    assert len(set(names)) == 3
    assert len({name.rsplit("-", 1)[0] for name in names}) == 1
    assert all(
        name.startswith("reviews-v1-") and pod.owner == "reviews-v1" for name, pod in zip(names, pods, strict=True)
    )
    assert len({pod.address for pod in pods}) == 3
    assert pods[0].identity.uri == "spiffe://cluster.local/ns/default/sa/bookinfo"


def test_a_changed_template_gives_other_names_and_an_unchanged_one_the_same() -> None:
    one = deployment("a", app="a")
    other = replace(one, template=template(app="a", version="v2"))
    again = plan(MeshObjects(deployments=(one,)), SETTINGS)
    assert again == plan(MeshObjects(deployments=(one,)), SETTINGS)
    assert again[0].meta.name != plan(MeshObjects(deployments=(other,)), SETTINGS)[0].meta.name


def test_stateful_pods_are_numbered() -> None:
    stateful = replace(deployment("db", 2, app="db"), stateful=True)
    assert [pod.meta.name for pod in plan(MeshObjects(deployments=(stateful,)), SETTINGS)] == ["db-0", "db-1"]


def test_a_deployment_whose_pods_are_there_is_not_expanded_again() -> None:
    pod = Pod(meta("Pod", "a-7d9c-x2x4z"), template(app="a", pod_template_hash="7d9c"), "10.0.0.9")
    pods = plan(MeshObjects(deployments=(deployment("a", 2, app="a"),), pods=(pod,)), SETTINGS)
    assert [(pod.meta.name, pod.address, pod.owner) for pod in pods] == [("a-7d9c-x2x4z", "10.0.0.9", "a")]
    assert owner_of(pod) == "a"


@pytest.mark.parametrize(
    ("labels", "annotations", "namespace", "role"),
    [
        ({}, {}, {}, Role.SIDECAR),
        ({"sidecar.istio.io/inject": "false"}, {}, {}, None),
        ({}, {"sidecar.istio.io/inject": "false"}, {}, None),
        ({}, {}, {"istio-injection": "disabled"}, None),
        ({"sidecar.istio.io/inject": "true"}, {}, {"istio-injection": "disabled"}, Role.SIDECAR),
        ({}, {"inject.istio.io/templates": "gateway"}, {}, Role.ROUTER),
        ({"istio": "ingressgateway"}, {}, {}, Role.ROUTER),
    ],
)
def test_roles(
    labels: dict[str, str], annotations: dict[str, str], namespace: dict[str, str], role: Role | None
) -> None:
    objects = MeshObjects(
        namespaces=(MeshNamespace(Meta(ObjectRef("Namespace", "", "default"), labels=Labels.of(namespace))),),
        gateways=(Gateway(meta("Gateway", "g"), Labels.of({"istio": "ingressgateway"}), ()),),
        pods=(
            Pod(meta("Pod", "p"), replace(template(), labels=Labels.of(labels), annotations=Labels.of(annotations))),
        ),
    )
    assert plan(objects, SETTINGS)[0].role is role


def test_not_ready_in_the_documents_is_not_ready_in_the_snapshot() -> None:
    pods = (
        Pod(meta("Pod", "a"), template(app="a"), "10.0.0.1", ready=False),
        Pod(meta("Pod", "b"), template(app="a"), "10.0.0.2", ready=True),
        Pod(meta("Pod", "c"), template(app="a"), "10.0.0.3"),
    )
    snapshot = offline_snapshot(MeshObjects(pods=pods))
    assert [load.ready for load in snapshot.workloads] == [False, True, True]
