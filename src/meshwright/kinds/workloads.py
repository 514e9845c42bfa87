"""Pod, Deployment and StatefulSet documents."""

from collections.abc import Iterator

from meshwright.documents.document import Value
from meshwright.kinds import formats
from meshwright.kinds.fields import Fields
from meshwright.kinds.metadata import LABELS, metadata
from meshwright.kinds.naming import Names
from meshwright.kinds.pod_template import POD_SPEC, TEMPLATE, read_template
from meshwright.kinds.schema import ANYTHING, Integer, Object, Text, Type
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.labels import Labels
from meshwright.model.meta import Meta
from meshwright.model.pod import Deployment, Pod

_ENDED = ("Succeeded", "Failed")

POD_SCHEMA = Object(
    fields={"apiVersion": Text(), "kind": Text(), "metadata": metadata(), "spec": POD_SPEC, "status": ANYTHING},
    required={"spec": "an object with `containers`"},
)


def _selects_its_pods(spec: Fields) -> Iterator[Diagnostic]:
    """Kubernetes refuses a selector that the template's own labels do not satisfy."""
    metadata_fields = spec.child_or_empty("template").child_or_empty("metadata")
    labels = metadata_fields.pairs("labels")
    for key, value in spec.child_or_empty("selector").pairs("matchLabels").items():
        if labels.get(key) != value:
            origin = metadata_fields.origin.field("labels").field(key)
            yield Diagnostic(
                codes.MISSING_FIELD, origin, (f"the label `{key}` of the selector", f'"{value}" to the pod\'s labels')
            )


def _schema(others: frozenset[str]) -> Object:
    selector = Object(
        fields={"matchLabels": LABELS, "matchExpressions": ANYTHING},
    )
    fields: dict[str, Type] = {"replicas": Integer(0, 10_000), "selector": selector, "template": TEMPLATE}
    spec = Object(
        fields=fields,
        required={"selector": "an object with `matchLabels`", "template": "an object with `metadata` and `spec`"},
        others=others,
        rules=(_selects_its_pods,),
    )
    return Object(
        fields={
            "apiVersion": Text(),
            "kind": Text(),
            "metadata": metadata(formats.NAME),
            "spec": spec,
            "status": ANYTHING,
        },
        required={"spec": "an object with `selector` and `template`"},
    )


DEPLOYMENT_SCHEMA = _schema(
    frozenset({"strategy", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds", "paused"})
)
_STATEFUL_OTHERS = frozenset({
    "serviceName", "podManagementPolicy", "updateStrategy", "minReadySeconds", "revisionHistoryLimit", "ordinals",
    "volumeClaimTemplates", "persistentVolumeClaimRetentionPolicy",
})  # fmt: skip
STATEFUL_SET_SCHEMA = _schema(_STATEFUL_OTHERS)


def read_pod(root: Fields, meta: Meta, _names: Names) -> tuple[Pod]:
    """A bare pod, with its address when the document comes from a cluster."""
    template = read_template(root.child_or_empty("metadata"), root.child_or_empty("spec"))
    status = root.raw("status")
    known: dict[str, Value] = status if isinstance(status, dict) else {}
    address = known.get("podIP")
    return (Pod(meta, template, address if isinstance(address, str) else "", _is_ready(known)),)


def _is_ready(status: dict[str, Value]) -> bool | None:
    """The condition `Ready`; a pod that has ended is not ready; None when the document does not say."""
    if status.get("phase") in _ENDED:
        return False
    conditions = status.get("conditions")
    for condition in conditions if isinstance(conditions, list) else ():
        if isinstance(condition, dict) and condition.get("type") == "Ready":
            return condition.get("status") == "True"
    return None


def read_deployment(root: Fields, meta: Meta, names: Names) -> tuple[Deployment]:
    return (_read(root, meta, names, stateful=False),)


def read_stateful_set(root: Fields, meta: Meta, names: Names) -> tuple[Deployment]:
    return (_read(root, meta, names, stateful=True),)


def _read(root: Fields, meta: Meta, _names: Names, *, stateful: bool) -> Deployment:
    spec = root.child_or_empty("spec")
    template = spec.child_or_empty("template")
    return Deployment(
        meta=meta,
        replicas=spec.number_or("replicas", 1),
        selector=Labels.of(spec.child_or_empty("selector").pairs("matchLabels")),
        template=read_template(template.child_or_empty("metadata"), template.child_or_empty("spec")),
        stateful=stateful,
    )
