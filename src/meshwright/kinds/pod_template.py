"""Pod specs: the body of a Pod and of the templates of Deployments and StatefulSets."""

from collections.abc import Iterator

from meshwright.kinds import formats
from meshwright.kinds.container import CONTAINER, INIT_CONTAINER, read_container, read_init_container
from meshwright.kinds.fields import Fields
from meshwright.kinds.lifecycle import too_long_sleeps
from meshwright.kinds.metadata import TEMPLATE_METADATA, annotations_of
from meshwright.kinds.schema import Enum, Integer, ListOf, Object, Text
from meshwright.kinds.volumes import VOLUMES, read_volume
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.labels import Labels
from meshwright.model.names import Milliseconds
from meshwright.model.pod import PodTemplate, RestartPolicy

_GRACE_SECONDS = 30
_OTHERS = frozenset({
    "ephemeralContainers", "affinity", "nodeSelector", "nodeName", "tolerations",
    "securityContext", "serviceAccount", "dnsPolicy", "dnsConfig", "hostAliases", "hostNetwork",
    "hostPID", "hostIPC", "hostUsers", "imagePullSecrets", "priority", "priorityClassName", "preemptionPolicy",
    "schedulerName", "schedulingGates", "runtimeClassName", "overhead", "readinessGates", "enableServiceLinks",
    "topologySpreadConstraints", "shareProcessNamespace", "setHostnameAsFQDN", "activeDeadlineSeconds",
    "automountServiceAccountToken", "os", "resourceClaims", "resources", "hostnameOverride", "workloadRef",
})  # fmt: skip

INJECTED = frozenset({"istio-init", "istio-validation", "istio-proxy"})
"""What injection adds to the init containers: the mesh does what they do by itself."""


def _two_of_a_name(fields: Fields) -> Iterator[Diagnostic]:
    """Containers and init containers share their names: logs, exec and statuses go by them."""
    names = {each.text("name") for each in fields.items("containers")}
    for each in fields.items("initContainers"):
        if each.text("name") in names:
            yield Diagnostic(codes.DUPLICATE, each.origin.field("name"), (f"name {each.text('name')}",))


def _sleeps_within_grace(fields: Fields) -> Iterator[Diagnostic]:
    grace = fields.number_or("terminationGracePeriodSeconds", _GRACE_SECONDS)
    for each in (*fields.items("containers"), *fields.items("initContainers")):
        yield from too_long_sleeps(each, grace)


POD_SPEC = Object(
    fields={
        "containers": ListOf(CONTAINER, least=1, unique="name"),
        "initContainers": ListOf(INIT_CONTAINER, unique="name"),
        "serviceAccountName": Text(formats.NAME),
        "hostname": Text(formats.LABEL),
        "subdomain": Text(formats.LABEL),
        "terminationGracePeriodSeconds": Integer(),
        "restartPolicy": Enum(tuple(RestartPolicy)),
        "volumes": VOLUMES,
    },
    required={"containers": "a list with `name` and `image`"},
    others=_OTHERS,
    rules=(_two_of_a_name, _sleeps_within_grace),
)
TEMPLATE = Object(
    fields={"metadata": TEMPLATE_METADATA, "spec": POD_SPEC},
    required={"spec": "an object with `containers`"},
)


def read_template(metadata: Fields, spec: Fields) -> PodTemplate:
    """What each pod looks like."""
    account = spec.text("serviceAccountName") or _text(spec, "serviceAccount") or "default"
    return PodTemplate(
        labels=Labels.of(metadata.pairs("labels")),
        annotations=annotations_of(metadata),
        service_account=account,
        containers=tuple(read_container(fields) for fields in spec.items("containers")),
        hostname=spec.text("hostname"),
        subdomain=spec.text("subdomain"),
        termination_grace=Milliseconds(spec.number_or("terminationGracePeriodSeconds", _GRACE_SECONDS) * 1000),
        volumes=tuple(read_volume(volume) for volume in spec.items("volumes")),
        restart_policy=RestartPolicy(spec.text("restartPolicy") or "Always"),
        init_containers=tuple(
            read_init_container(fields)
            for fields in spec.items("initContainers")
            if fields.text("name") not in INJECTED
        ),
    )


def _text(fields: Fields, name: str) -> str:
    """A field that no schema checked."""
    value = fields.raw(name)
    return value if isinstance(value, str) else ""
