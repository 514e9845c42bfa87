"""Deployments and Pods become the pods that run: names, addresses, identities, and whether each has a proxy."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b

from meshwright.model.gateway import Gateway
from meshwright.model.labels import Labels
from meshwright.model.meta import Meta
from meshwright.model.objects import MeshObjects
from meshwright.model.origin import ObjectRef
from meshwright.model.planned_pod import PlannedPod
from meshwright.model.pod import Deployment, Pod, PodTemplate
from meshwright.model.proxy import Role
from meshwright.model.settings import MeshSettings
from meshwright.model.workload import Identity
from meshwright.wiring.addresses import POD_NETWORK, Network, allocate

# Letters that cannot spell words, as Kubernetes uses for generated names.
SAFE_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
INJECT_LABEL = "sidecar.istio.io/inject"
TEMPLATES_ANNOTATION = "inject.istio.io/templates"
NEVER_INJECTED = frozenset({"kube-system", "kube-public", "kube-node-lease", "local-path-storage"})


@dataclass(frozen=True, slots=True)
class PodDraft:
    """A pod before it has an address. `address` and `ready` are what its document's status says, if any."""

    meta: Meta
    template: PodTemplate
    owner: str
    address: str = ""
    ready: bool | None = None


def drafts(objects: MeshObjects) -> tuple[PodDraft, ...]:
    """Every pod that the objects ask for, sorted by namespace and name.

    A Deployment whose pods are among the documents (as in `kubectl get -A -o yaml`) is not expanded again.
    """
    there = [written(pod) for pod in objects.pods]
    made = [draft for deployment in objects.deployments for draft in expanded(deployment, there)]
    return tuple(sorted((*there, *made), key=lambda draft: (draft.meta.namespace, draft.meta.name)))


def plan(objects: MeshObjects, settings: MeshSettings, network: Network = POD_NETWORK) -> tuple[PlannedPod, ...]:
    """Every pod with its address, identity and role."""
    wanted = drafts(objects)
    given = {draft.meta.ref: draft.address for draft in wanted if draft.address}
    fresh = {str(draft.meta.ref) for draft in wanted if not draft.address}
    addresses = allocate(fresh, network, taken=set(given.values()))
    roles = Roles.of(objects)
    return tuple(
        PlannedPod(
            meta=draft.meta,
            template=draft.template,
            address=given.get(draft.meta.ref) or addresses[str(draft.meta.ref)],
            owner=draft.owner,
            identity=Identity(
                settings.trust_domain, draft.meta.namespace, draft.template.service_account or "default"
            ),
            role=roles.role(draft.meta, draft.template),
        )
        for draft in wanted
    )


@dataclass(frozen=True, slots=True)
class Roles:
    """Decides which pods get a sidecar and which are gateways."""

    namespace_labels: Mapping[str, Labels]
    gateway_selectors: Collection[Labels]

    @classmethod
    def of(cls, objects: MeshObjects) -> "Roles":
        return cls(
            {namespace.meta.name: namespace.meta.labels for namespace in objects.namespaces},
            frozenset(_selectors(objects.gateways)),
        )

    def role(self, meta: Meta, template: PodTemplate) -> Role | None:
        """ROUTER for gateway pods; SIDECAR unless the pod or its namespace opts out; None for the others.

        Without Kubernetes there is nothing but the mesh, so injection is on unless `sidecar.istio.io/inject`
        or the namespace's `istio-injection` says otherwise.
        """
        templates = template.annotations.get(TEMPLATES_ANNOTATION).split(",")
        if "gateway" in [name.strip() for name in templates]:
            return Role.ROUTER
        if any(template.labels.includes(selector) for selector in self.gateway_selectors):
            return Role.ROUTER
        explicit = template.labels.get(INJECT_LABEL) or template.annotations.get(INJECT_LABEL)
        if meta.namespace in NEVER_INJECTED or explicit == "false":
            return None
        if explicit == "true":
            return Role.SIDECAR
        inherited = self.namespace_labels.get(meta.namespace, Labels())
        return None if inherited.get("istio-injection") == "disabled" else Role.SIDECAR


def _selectors(gateways: Iterable[Gateway]) -> Iterable[Labels]:
    return (gateway.selector for gateway in gateways if gateway.selector)


def written(pod: Pod, _: None = None) -> PodDraft:
    """A Pod that a user, or a controller, wrote."""
    meta = replace(pod.meta, labels=pod.template.labels, annotations=pod.template.annotations)
    return PodDraft(meta, pod.template, owner_of(pod), pod.address, pod.ready)


def owner_of(pod: Pod) -> str:
    """The Deployment behind a pod that a cluster wrote: its name without the two generated endings."""
    if not pod.template.labels.get("pod-template-hash"):
        return pod.meta.name
    return pod.meta.name.rsplit("-", 2)[0]


def expanded(deployment: Deployment, there: Iterable[PodDraft]) -> Iterable[PodDraft]:
    """The pods of a Deployment; none when pods that its selector picks are there already."""
    selector = deployment.selector or deployment.template.labels
    namespace = deployment.meta.namespace
    if any(pod.meta.namespace == namespace and pod.meta.labels.includes(selector) for pod in there):
        return
    for index in range(deployment.replicas):
        yield PodDraft(_pod_meta(deployment, index), deployment.template, deployment.meta.name)


def _pod_meta(deployment: Deployment, index: int) -> Meta:
    name, namespace = deployment.meta.name, deployment.meta.namespace
    if deployment.stateful:
        pod_name = f"{name}-{index}"
    else:
        template = generated(repr(deployment.template), 9)
        pod_name = f"{name}-{template}-{generated(f'{namespace}/{name}/{template}/{index}', 5)}"
    return Meta(
        ObjectRef("Pod", namespace, pod_name),
        deployment.meta.created,
        deployment.template.labels,
        deployment.template.annotations,
    )


def generated(seed: str, length: int) -> str:
    """A short name part that depends on `seed` alone."""
    number = int.from_bytes(blake2b(seed.encode(), digest_size=16).digest(), "big")
    letters: list[str] = []
    for _ in range(length):
        number, rest = divmod(number, len(SAFE_LETTERS))
        letters.append(SAFE_LETTERS[rest])
    return "".join(letters)
