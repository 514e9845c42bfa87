"""DestinationRule documents."""

from meshwright.kinds import formats
from meshwright.kinds.fields import Fields
from meshwright.kinds.metadata import LABELS, metadata
from meshwright.kinds.naming import Names
from meshwright.kinds.schema import ANYTHING, ListOf, Object, Text
from meshwright.kinds.traffic_policy import TRAFFIC_POLICY, read_policy
from meshwright.model.destination_rule import DestinationRule, Subset
from meshwright.model.labels import Labels
from meshwright.model.meta import Meta
from meshwright.model.names import SubsetName

_SPEC = Object(
    fields={
        "host": Text(formats.WILDCARD_HOST, empty=False),
        "trafficPolicy": TRAFFIC_POLICY,
        "subsets": ListOf(
            Object(
                fields={
                    "name": Text(formats.SUBSET_NAME, empty=False),
                    "labels": LABELS,
                    "trafficPolicy": TRAFFIC_POLICY,
                },
                required={"name": "e.g. v1"},
            ),
            unique="name",
        ),
        "exportTo": ListOf(Text(formats.EXPORT_TARGET, empty=False)),
        "workloadSelector": Object(fields={"matchLabels": LABELS}),
    },
    required={"host": "the service's name, e.g. reviews"},
)
SCHEMA = Object(
    fields={"apiVersion": Text(), "kind": Text(), "metadata": metadata(), "spec": _SPEC, "status": ANYTHING},
    required={"spec": "an object with `host`"},
)


def read(root: Fields, meta: Meta, names: Names) -> tuple[DestinationRule]:
    """The checked document as a model value."""
    spec = root.child_or_empty("spec")
    rule = DestinationRule(
        meta=meta,
        host=names.host(spec.text("host")),
        policy=read_policy(spec.child("trafficPolicy")),
        subsets=tuple(_read_subset(fields) for fields in spec.items("subsets")),
        export_to=names.export_to(spec.texts("exportTo")),
        workload_selector=Labels.of(spec.child_or_empty("workloadSelector").pairs("matchLabels")),
    )
    return (rule,)


def _read_subset(fields: Fields) -> Subset:
    return Subset(
        name=SubsetName(fields.text("name")),
        labels=Labels.of(fields.pairs("labels")),
        origin=fields.origin,
        policy=read_policy(fields.child("trafficPolicy")),
    )
