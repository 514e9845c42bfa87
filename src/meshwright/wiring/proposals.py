"""The DestinationRules that VirtualServices are missing, written out: subsets from the version labels of the pods."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from meshwright.model.labels import Labels
from meshwright.model.objects import MeshObjects
from meshwright.model.service import Registry, Service
from meshwright.model.virtual_service import VirtualService
from meshwright.wiring.applying import LAST_APPLIED
from meshwright.wiring.withheld import Defined, wants

API_VERSION, KIND, VERSION = "networking.istio.io/v1", "DestinationRule", "version"
_KEPT = ("name", "namespace", "labels", "annotations")
Json = dict[str, Any]
Written = Mapping[tuple[str, str], Json]
"""The DestinationRules that are there, as they are written, by namespace and name."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """Either a whole object that brings the subsets, or (None) why nobody can say what they are."""

    value: Json | None
    why: str = ""

    @property
    def text(self) -> str:
        """YAML, as one applies it."""
        return yaml.safe_dump(self.value, sort_keys=False)


def proposals(rules: Iterable[VirtualService], around: MeshObjects, written: Written) -> tuple[Proposal, ...]:
    """What to add for these VirtualServices among `around`, which holds what they refer to."""
    return tuple(each for _, each in _proposals(rules, around, written))


def _proposals(
    rules: Iterable[VirtualService], around: MeshObjects, written: Written
) -> Iterator[tuple[str, Proposal]]:
    """By host."""
    defined = Defined(around.destination_rules, around.services)
    missing: dict[str, set[str]] = {}
    for rule in rules:
        for host, subset in defined.lacks(wants(rule)):
            missing.setdefault(host, set()).add(subset)
    services = {str(service.host): service for service in around.services}
    for host, names in sorted(missing.items()):
        yield host, _proposal(services[host], sorted(names), around, written)


def _proposal(service: Service, names: list[str], around: MeshObjects, written: Written) -> Proposal:
    versions = _versions(service, around)
    unknown = [name for name in names if name not in versions]
    if unknown:
        there = f"its pods have the versions {', '.join(versions)}" if versions else "its pods have no label version"
        return Proposal(None, f"subset {', '.join(unknown)} of {service.meta.name} cannot be guessed: {there}")
    return Proposal(_extended(service, names, around, written) or _new(service, versions, written))


def _versions(service: Service, around: MeshObjects) -> list[str]:
    """The version labels of a service's pods."""
    if service.registry is not Registry.KUBERNETES or not service.selector:
        return []
    labels: list[Labels] = [pod.template.labels for pod in around.pods if _is_beside(pod.meta.namespace, service)]
    labels += [each.template.labels for each in around.deployments if _is_beside(each.meta.namespace, service)]
    found = {each.get(VERSION) for each in labels if each.includes(service.selector)}
    return sorted(each for each in found if each)


def _is_beside(namespace: str, service: Service) -> bool:
    return namespace == service.meta.namespace


def _extended(service: Service, names: list[str], around: MeshObjects, written: Written) -> Json | None:
    """The service's DestinationRule with more subsets, if it has one; what is written in it stays."""
    rule = next((each for each in around.destination_rules if each.host == service.host), None)
    value = None if rule is None else written.get((rule.meta.namespace, rule.meta.name))
    if value is None:
        return None
    metadata = {name: each for name, each in value.get("metadata", {}).items() if name in _KEPT}
    if "annotations" in metadata:
        metadata["annotations"] = {k: v for k, v in metadata["annotations"].items() if k != LAST_APPLIED}
    spec = value.get("spec", {})
    spec = {**spec, "subsets": [*spec.get("subsets", []), *map(_subset, names)]}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec}


def _new(service: Service, versions: list[str], written: Written) -> Json:
    name, namespace = service.meta.name, service.meta.namespace
    free = name if (namespace, name) not in written else f"{name}-subsets"
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": free, "namespace": namespace},
        "spec": {"host": name, "subsets": [_subset(each) for each in versions]},
    }


def _subset(version: str) -> Json:
    return {"name": version, "labels": {VERSION: version}}


def in_words(rules: Iterable[VirtualService], around: MeshObjects) -> tuple[str, ...]:
    """What to add for these VirtualServices, one line each: an object, or subsets of one that is there."""
    ruled = {str(each.host): each.meta.ref for each in around.destination_rules}
    taken = {(ref.namespace, ref.name): Json() for ref in ruled.values()}
    told: list[str] = []
    for host, each in _proposals(rules, around, taken):
        if each.value is None:
            told.append(each.why)
        elif host in ruled:
            told.append(f"add to spec.subsets of {ruled[host]}: {_line(each.value['spec']['subsets'])}")
        else:
            told.append(f"add: {_line(each.value)}")
    return tuple(told)


def _line(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False, default_flow_style=True, width=10_000).strip()
