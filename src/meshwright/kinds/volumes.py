"""Volumes of pods, and where containers mount them."""

from meshwright.kinds import formats
from meshwright.kinds.fields import Fields
from meshwright.kinds.schema import ANYTHING, Flag, Integer, ListOf, Object, Text
from meshwright.model.pod import KeyPath, Volume, VolumeMount, VolumeType

_MODE = Integer(0, 0o777)
_ITEMS = ListOf(
    Object(
        fields={"key": Text(empty=False), "path": Text(empty=False), "mode": _MODE},
        required={"key": "the key whose value is shown", "path": "the file's name"},
    )
)
_SOURCES = frozenset({
    "hostPath", "persistentVolumeClaim", "projected", "downwardAPI", "nfs", "csi", "ephemeral", "image", "gitRepo",
    "awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "fc", "flexVolume", "flocker", "glusterfs",
    "gcePersistentDisk", "iscsi", "photonPersistentDisk", "portworxVolume", "quobyte", "rbd", "scaleIO", "storageos",
    "vsphereVolume",
})  # fmt: skip
VOLUMES = ListOf(
    Object(
        fields={
            "name": Text(formats.LABEL, empty=False),
            "emptyDir": Object(fields={"medium": Text(), "sizeLimit": ANYTHING}),
            "configMap": Object(
                fields={"name": Text(), "items": _ITEMS, "defaultMode": _MODE, "optional": Flag()},
            ),
            "secret": Object(
                fields={"secretName": Text(), "items": _ITEMS, "defaultMode": _MODE, "optional": Flag()},
            ),
        },
        required={"name": "e.g. config"},
        one_of=(("emptyDir", "configMap", "secret"),),
        others=_SOURCES,
    ),
    unique="name",
)
VOLUME_MOUNTS = ListOf(
    Object(
        fields={
            "name": Text(empty=False),
            "mountPath": Text(empty=False),
            "subPath": Text(),
            "readOnly": Flag(),
        },
        required={"name": "the volume's name", "mountPath": "where the container sees it"},
        others=frozenset({"mountPropagation", "subPathExpr", "recursiveReadOnly"}),
    )
)


def read_volume(fields: Fields) -> Volume:
    """One entry of spec.volumes."""
    name, origin = fields.text("name"), fields.origin
    for kind, source in ((VolumeType.CONFIG_MAP, "name"), (VolumeType.SECRET, "secretName")):
        body = fields.child(kind.value)
        if body is not None:
            items = tuple(
                KeyPath(item.text("key"), item.text("path"), item.number("mode")) for item in body.items("items")
            )
            mode = body.number_or("defaultMode", 0o644)
            return Volume(name, kind, origin, body.text(source), items, mode, optional=body.flag("optional"))
    others = [source for source in sorted(_SOURCES) if fields.has(source)]
    if others:
        return Volume(name, VolumeType.OTHER, origin, others[0])
    return Volume(name, VolumeType.EMPTY_DIR, origin)


def read_mount(fields: Fields) -> VolumeMount:
    """One entry of a container's volumeMounts."""
    path = fields.text("mountPath")
    absolute = path if path.startswith("/") else f"/{path}"
    return VolumeMount(
        fields.text("name"),
        absolute.rstrip("/") or "/",
        fields.text("subPath"),
        read_only=fields.flag("readOnly"),
    )
