"""Fields that may not change once an object is there."""

from collections.abc import Iterator
from typing import Any

from meshwright.apiserver.failure import FieldError
from meshwright.apiserver.values import Json, copied, dig, is_list, is_map, list_of, map_of, metadata_of, same

_SELECTED = frozenset({"Deployment", "ReplicaSet", "StatefulSet"})
_POD_MAY_CHANGE = frozenset({"activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds"})


def immutable_errors(before: Json, after: Json, kind: str) -> Iterator[FieldError]:
    """What an update changes and may not."""
    yield from _late_finalizers(metadata_of(before), metadata_of(after))
    if kind in _SELECTED:
        yield from _fixed(before, after, "spec", "selector")
    if kind == "StatefulSet":
        yield from _fixed(before, after, "spec", "serviceName")
    if kind == "EndpointSlice":
        yield from _fixed(before, after, "addressType")
    if kind == "ControllerRevision":
        yield from _fixed(before, after, "data")
    if kind in ("ConfigMap", "Secret") and before.get("immutable") is True:
        for name in ("data", "binaryData", "immutable"):
            yield from _fixed(before, after, name)
    if kind == "Secret":
        yield from _fixed(before, after, "type")
    if kind == "Service" and dig(before, "spec", "clusterIP") and dig(after, "spec", "type") != "ExternalName":
        yield from _fixed(before, after, "spec", "clusterIP")
    if kind == "Pod" and not same(_pod_core(before), _pod_core(after)):
        yield FieldError(
            "spec",
            "Forbidden: pod updates may not change fields other than the images of containers, "
            "activeDeadlineSeconds, tolerations and terminationGracePeriodSeconds",
            "FieldValueForbidden",
        )


def _late_finalizers(before: Json, after: Json) -> Iterator[FieldError]:
    if "deletionTimestamp" not in before:
        return
    sent = after.get("finalizers")
    fresh = [str(name) for name in (sent if is_list(sent) else ()) if name not in list_of(before.get("finalizers"))]
    if fresh:
        why = "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers"
        yield FieldError("metadata.finalizers", f"{why} {fresh}", "FieldValueForbidden")


def _fixed(before: Json, after: Json, *path: str) -> Iterator[FieldError]:
    if not same(dig(before, *path), dig(after, *path)):
        yield FieldError(".".join(path), "Invalid value: field is immutable")


def _pod_core(value: Json) -> Any:
    """What may not change of a pod's spec."""
    spec: Json = {name: item for name, item in map_of(value.get("spec")).items() if name not in _POD_MAY_CHANGE}
    for field in ("containers", "initContainers"):
        if field in spec:
            spec[field] = [_without_image(item) for item in list_of(spec[field])]
    return spec


def _without_image(container: Any) -> Any:
    if not is_map(container):
        return container
    return {name: copied(item) for name, item in container.items() if name != "image"}
