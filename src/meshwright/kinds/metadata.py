"""`metadata` of every kind: names, labels and the annotations that the mesh reads."""

from meshwright.kinds import formats
from meshwright.kinds.fields import Fields
from meshwright.kinds.formats import Format
from meshwright.kinds.schema import ANYTHING, Integer, MapOf, Object, Text
from meshwright.model.labels import Labels
from meshwright.model.meta import Meta
from meshwright.model.origin import ObjectRef

LABELS = MapOf(Text(formats.LABEL_VALUE), formats.LABEL_KEY, nullable=True)
ANNOTATIONS = MapOf(Text(), formats.LABEL_KEY, nullable=True)
_READ_DOMAINS = ("istio.io", "meshwright.dev")
_OTHERS = frozenset({
    "generateName", "uid", "resourceVersion", "generation", "deletionTimestamp", "deletionGracePeriodSeconds",
    "ownerReferences", "finalizers", "managedFields", "selfLink",
})  # fmt: skip


def metadata(name: Format = formats.NAME) -> Object:
    """The schema of metadata for a kind whose names have this format."""
    return Object(
        fields={
            "name": Text(name, empty=False),
            "namespace": Text(formats.LABEL),
            "labels": LABELS,
            "annotations": ANNOTATIONS,
            "creationTimestamp": Text(),
        },
        others=_OTHERS,
    )


TEMPLATE_METADATA = Object(
    fields={
        "name": Text(),
        "namespace": Text(),
        "labels": LABELS,
        "annotations": ANNOTATIONS,
        "creationTimestamp": ANYTHING,
    },
    others=_OTHERS,
)

PORT = Integer(1, 65535)


def annotations_of(fields: Fields) -> Labels:
    """Only annotations of the mesh's own domains: all others may change without meaning anything."""
    pairs = fields.pairs("annotations")
    return Labels.of({key: value for key, value in pairs.items() if key.partition("/")[0].endswith(_READ_DOMAINS)})


def meta_of(ref: ObjectRef, root: Fields) -> Meta:
    """Who an object is, out of its checked document."""
    fields = root.child_or_empty("metadata")
    return Meta(ref, fields.text("creationTimestamp"), Labels.of(fields.pairs("labels")), annotations_of(fields))
