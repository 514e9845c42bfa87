"""Pod specs: the body of a Pod and of the templates of Deployments and StatefulSets."""

from meshwright.kinds import formats
from meshwright.kinds.container import CONTAINER, read_container
from meshwright.kinds.fields import Fields
from meshwright.kinds.metadata import TEMPLATE_METADATA, annotations_of
from meshwright.kinds.schema import Enum, Integer, ListOf, Object, Text
from meshwright.kinds.volumes import VOLUMES, read_volume
from meshwright.model.labels import Labels
from meshwright.model.names import Milliseconds
from meshwright.model.pod import PodTemplate, RestartPolicy

_GRACE_SECONDS = 30
_OTHERS = frozenset({
    "initContainers", "ephemeralContainers", "affinity", "nodeSelector", "nodeName", "tolerations",
    "securityContext", "serviceAccount", "dnsPolicy", "dnsConfig", "hostAliases", "hostNetwork",
    "hostPID", "hostIPC", "hostUsers", "imagePullSecrets", "priority", "priorityClassName", "preemptionPolicy",
    "schedulerName", "schedulingGates", "runtimeClassName", "overhead", "readinessGates", "enableServiceLinks",
    "topologySpreadConstraints", "shareProcessNamespace", "setHostnameAsFQDN", "activeDeadlineSeconds",
    "automountServiceAccountToken", "os", "resourceClaims", "resources", "hostnameOverride", "workloadRef",
})  # fmt: skip

POD_SPEC = Object(
    fields={
        "containers": ListOf(CONTAINER, least=1, unique="name"),
        "serviceAccountName": Text(formats.NAME),
        "hostname": Text(formats.LABEL),
        "subdomain": Text(formats.LABEL),
        "terminationGracePeriodSeconds": Integer(),
        "restartPolicy": Enum(tuple(RestartPolicy)),
        "volumes": VOLUMES,
    },
    required={"containers": "a list with `name` and `image`"},
    others=_OTHERS,
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
    )


def _text(fields: Fields, name: str) -> str:
    """A field that no schema checked."""
    value = fields.raw(name)
    return value if isinstance(value, str) else ""
