"""The subresources that every such kind has: `status`, and `scale` of workloads."""

from dataclasses import replace
from http import HTTPStatus

import msgspec
from starlette.responses import Response

from meshwright.apiserver import bodies
from meshwright.apiserver.admission import check_header
from meshwright.apiserver.failure import (
    FieldError,
    bad_request,
    invalid,
    method_not_allowed,
    raise_for_store,
)
from meshwright.apiserver.negotiation import APPLY_PATCH, JSON, MERGE_PATCH, STRATEGIC_PATCH, WHOLE, Form, wanted
from meshwright.apiserver.patching import read_change
from meshwright.apiserver.reading import key_of
from meshwright.apiserver.rendering import Renderer, table_of
from meshwright.apiserver.schemas import SCALE
from meshwright.apiserver.simple_patches import merge_patch
from meshwright.apiserver.values import Json, dig, is_list, is_map, map_of, metadata_of
from meshwright.apiserver.writing import (
    Change,
    Job,
    as_object,
    change_object,
    commit,
    patch_type,
    read_object,
    respond,
    written,
)
from meshwright.store.errors import StoreError
from meshwright.store.names import Owner
from meshwright.store.version import Version
from meshwright.store.writes import UpdateStatus

# ------------------------------------------------------------ status


async def write_status(job: Job) -> Response:
    """PUT or PATCH of `status`: nothing else of the object changes, and conditions of others stay."""
    change = await _status_change(job)
    target = job.target

    async def once(current: Version, value: Json) -> Response:
        status: object = value.get("status", {})
        if not is_map(status):
            raise invalid(target.row.kind, target.about, [FieldError("status", "Invalid value: must be an object")])
        _check_conditions(job, status)
        write = UpdateStatus(current.key, status, Owner(job.options.manager), current.revision, current.uid)
        return respond(job, await commit(job, write), [], HTTPStatus.OK, current)

    return await written(job, change, once, WHOLE)


async def _status_change(job: Job) -> Change:
    if job.request.method == "PUT":
        value, _ = await read_object(job)
        sent = check_header(value, job.target)
        return lambda _current: sent
    kind = patch_type(job.request)
    if kind == APPLY_PATCH:
        sent = check_header(bodies.parse_object(await bodies.read_body(job.request), JSON), job.target)
        return lambda current: as_object(merge_patch(current, {"status": sent.get("status") or {}}))
    change, _ = await read_change(job, kind, job.api.schemas.shape(job.target.row))
    return change


def _check_conditions(job: Job, status: Json) -> None:
    conditions = status.get("conditions")
    if conditions is None:
        return
    items = conditions if is_list(conditions) else [None]
    wrong = [
        FieldError(f"status.conditions[{index}].type", "Required value", "FieldValueRequired")
        for index, item in enumerate(items)
        if not is_map(item) or not isinstance(item.get("type"), str) or not item["type"]
    ]
    if wrong:
        raise invalid(job.target.row.kind, job.target.about, wrong)


# ------------------------------------------------------------ scale
async def get_scale(job: Job) -> Response:
    """GET of `scale`."""
    form = wanted(job.request.headers.get("accept", ""))
    try:
        version = await job.api.store.get(key_of(job.target))
    except StoreError as error:
        raise_for_store(error, job.target.about)
    scale = scale_in(version.value())
    if form.form is not Form.TABLE:
        return _scale_json(scale)
    include = job.request.query_params.get("includeObject")
    table = table_of("Scale", [scale], {"resourceVersion": scale["metadata"]["resourceVersion"]}, form, include)
    return Response(msgspec.json.encode(table), media_type=form.content_type)


async def write_scale(job: Job) -> Response:
    """PUT or PATCH of `scale`: sets `spec.replicas` of the object."""
    scaled = await _scale_change(job)

    def change(current: Json) -> Json:
        sent = scaled(scale_in(current))
        replicas = dig(sent, "spec", "replicas")
        if not isinstance(replicas, int) or isinstance(replicas, bool) or replicas < 0:
            wrong = FieldError("spec.replicas", f"Invalid value: {replicas}: must be a number from 0")
            raise invalid("Scale", job.target.about, [wrong])
        metadata = dict(metadata_of(current))
        metadata.pop("resourceVersion", None)
        if metadata_of(sent).get("resourceVersion") != metadata_of(current).get("resourceVersion"):
            metadata["resourceVersion"] = metadata_of(sent).get("resourceVersion")
        return {**current, "metadata": metadata, "spec": {**map_of(current.get("spec")), "replicas": replicas}}

    response = await change_object(job, change)
    value: Json = msgspec.json.decode(bytes(response.body))
    return _scale_json(scale_in(value))


def scale_in(value: Json) -> Json:
    """An object's Scale: how many are wanted and how many there are."""
    labels = map_of(dig(value, "spec", "selector", "matchLabels"))
    kept = ("name", "namespace", "uid", "creationTimestamp", "resourceVersion")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: metadata_of(value)[name] for name in kept if name in metadata_of(value)},
        "spec": {"replicas": dig(value, "spec", "replicas") or 0},
        "status": {
            "replicas": dig(value, "status", "replicas") or 0,
            "selector": ",".join(f"{name}={text}" for name, text in sorted(labels.items())),
        },
    }


async def _scale_change(job: Job) -> Change:
    if job.request.method == "PUT":
        value, _ = await read_object(job)
        if value.get("kind") not in (None, "", "Scale"):
            raise bad_request(f"the kind in the body ({value.get('kind')}) is not Scale")
        return lambda _current: value
    kind = patch_type(job.request)
    if kind in (APPLY_PATCH, STRATEGIC_PATCH):
        kind = MERGE_PATCH  # a Scale has no lists: they mean the same
    change, _ = await read_change(job, kind, job.api.schemas.named(SCALE))
    return change


def _scale_json(value: Json) -> Response:
    return Response(msgspec.json.encode(value), media_type=WHOLE.content_type)


# ------------------------------------------------------------ dispatch
async def serve_part(job: Job) -> Response:
    """A request for `status` or `scale`. Raises Failure 405."""
    method = job.request.method
    if job.target.subresource == "scale":
        return await (get_scale(job) if method == "GET" else write_scale(job))
    if method == "GET":
        form = wanted(job.request.headers.get("accept", ""))
        try:
            version = await job.api.store.get(key_of(job.target))
        except StoreError as error:
            raise_for_store(error, job.target.about)
        return Response(Renderer.of(job.target, form).one(version), media_type=form.content_type)
    if method in ("PUT", "PATCH"):
        return await write_status(job)
    raise method_not_allowed(replace(job.target.about, name=""))
