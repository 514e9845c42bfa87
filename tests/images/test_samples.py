"""The samples: every document reads, every image has an entry, every reference has its object."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.images.test_catalogue import shipped

SAMPLES = Path(__file__).parents[2] / "samples"
FILES = sorted(SAMPLES.rglob("*.yaml"))
RULES = (
    "bookinfo-gateway",
    "certmanager-gateway",
    "destination-rule-all",
    "destination-rule-all-mtls",
    "destination-rule-reviews",
    "egress-rule-google-apis",
    "fault-injection-details",  # ours: it needs no subset
    "fault-injection-details-v1",
    "virtual-service-all-v1",
    "virtual-service-details-v2",
    "virtual-service-ratings-db",
    "virtual-service-ratings-mysql",
    "virtual-service-ratings-mysql-vm",
    "virtual-service-ratings-test-abort",
    "virtual-service-ratings-test-delay",
    "virtual-service-reviews-50-v3",
    "virtual-service-reviews-80-20",
    "virtual-service-reviews-90-10",
    "virtual-service-reviews-jason-v2-v3",
    "virtual-service-reviews-test-v2",
    "virtual-service-reviews-v2-v3",
    "virtual-service-reviews-v3",
)


def documents(file: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(file.read_text()))


def all_of(kind: str, *files: Path) -> list[dict[str, Any]]:
    return [each for file in files or FILES for each in documents(file) if each["kind"] == kind]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SAMPLES)))
def test_documents_are_objects(file: Path) -> None:
    found = documents(file)
    names = [(each["kind"], each["metadata"]["name"]) for each in found]
    assert found
    assert len(names) == len(set(names))
    for each in found:
        assert "/" in each["apiVersion"] or each["apiVersion"] == "v1"


def test_every_rule_that_users_know_is_there() -> None:
    names = {file.stem for file in (SAMPLES / "bookinfo" / "networking").glob("*.yaml")}
    assert names == set(RULES)


def test_bookinfo_is_whole() -> None:
    file = SAMPLES / "bookinfo/platform/kube/bookinfo.yaml"
    services = {each["metadata"]["name"]: each for each in all_of("Service", file)}
    accounts = {each["metadata"]["name"] for each in all_of("ServiceAccount", file)}
    deployments = {each["metadata"]["name"]: each for each in all_of("Deployment", file)}
    assert set(services) == {"productpage", "details", "reviews", "ratings"}
    assert accounts == {f"bookinfo-{name}" for name in services}
    versions = {"productpage-v1", "details-v1", "ratings-v1", "reviews-v1", "reviews-v2", "reviews-v3"}
    assert set(deployments) == versions
    for name, deployment in deployments.items():
        app, _, version = name.partition("-")
        pod = deployment["spec"]["template"]
        assert pod["metadata"]["labels"] == {"app": app, "version": version}
        assert pod["spec"]["serviceAccountName"] == f"bookinfo-{app}"
        (container,) = pod["spec"]["containers"]
        assert container["name"] == app
        assert container["image"] == f"docker.io/istio/examples-bookinfo-{name}:1.20.3"
        assert container["ports"] == [{"containerPort": 9080}]
        assert services[app]["spec"] == {"ports": [{"port": 9080, "name": "http"}], "selector": {"app": app}}


@pytest.mark.parametrize("deployment", all_of("Deployment"), ids=lambda each: each["metadata"]["name"])
def test_deployments_run_here(deployment: dict[str, Any]) -> None:
    spec = deployment["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"].items() <= labels.items()
    for container in spec["template"]["spec"]["containers"]:
        assert shipped().find(container["image"]) is not None


def test_every_weight_adds_up_and_every_subset_is_defined() -> None:
    networking = SAMPLES / "bookinfo" / "networking"
    rules = all_of("DestinationRule", networking / "destination-rule-all.yaml")
    subsets = {(rule["spec"]["host"], each["name"]) for rule in rules for each in rule["spec"]["subsets"]}
    for service in all_of("VirtualService", *networking.glob("virtual-service-*.yaml")):
        for http in service["spec"]["http"]:
            weights = [each.get("weight") for each in http["route"]]
            assert weights == [None] or sum(weights) == 100
            for each in http["route"]:
                assert (each["destination"]["host"], each["destination"]["subset"]) in subsets
