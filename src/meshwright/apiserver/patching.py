"""PATCH of objects: four kinds of patches, one way of writing what they make."""

from starlette.responses import Response

from meshwright.apiserver import bodies
from meshwright.apiserver.admission import check_header
from meshwright.apiserver.failure import (
    Failure,
    FieldError,
    bad_options,
    bad_request,
    conflict,
    too_many,
    unfit,
    unsupported_media,
)
from meshwright.apiserver.managed_fields import apply
from meshwright.apiserver.negotiation import APPLY_PATCH, JSON, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, YAML
from meshwright.apiserver.options import Strictness
from meshwright.apiserver.reading import key_of
from meshwright.apiserver.schemas import Shape
from meshwright.apiserver.simple_patches import MAX_OPERATIONS, PatchError, json_patch, merge_patch
from meshwright.apiserver.strategic_patch import strategic_patch
from meshwright.apiserver.values import Json, dig, is_list, metadata_of, without_nulls
from meshwright.apiserver.writing import Change, Job, as_object, change_object, create_from, patch_type


async def patch(job: Job) -> Response:
    """The object with the patch on it; server-side apply makes it where it is not there."""
    kind = patch_type(job.request)
    if kind == APPLY_PATCH:
        return await server_side_apply(job)
    if job.options.force:
        why = "Forbidden: may not be specified for non-apply patch"
        raise bad_options("PatchOptions", [FieldError("force", why, "FieldValueForbidden")])
    change, twice = await read_change(job, kind, job.api.schemas.shape(job.target.row))
    return await change_object(job, change, twice)


async def read_change(job: Job, kind: str, shape: Shape) -> tuple[Change, list[str]]:
    """What the patch in the body does. Raises Failure 400, 415."""
    known = [JSON_PATCH, MERGE_PATCH, *([STRATEGIC_PATCH] if job.target.row.is_core else []), APPLY_PATCH]
    if kind not in known:
        raise unsupported_media(
            "the body of the request was in an unknown format - accepted media types include: " + ", ".join(known)
        )
    body = await bodies.read_body(job.request)
    sent = bodies.parse(body, JSON)
    if kind == JSON_PATCH and is_list(sent) and len(sent) > MAX_OPERATIONS:
        raise too_many(f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(sent)}")

    def change(current: Json) -> Json:
        try:
            match kind:
                case "application/json-patch+json":
                    return as_object(json_patch(current, sent))
                case "application/strategic-merge-patch+json":
                    return strategic_patch(current, sent, shape)
                case _:
                    return as_object(merge_patch(current, sent))
        except PatchError as problem:
            raise unfit(f"the patch does not fit {job.target.about}: {problem}") from None

    strict = job.options.strictness is not Strictness.IGNORE
    return change, (bodies.repeated(body, JSON) if strict and kind != JSON_PATCH else [])


async def server_side_apply(job: Job) -> Response:
    """Fields as one manager wants them; what it wanted before and no longer names goes away."""
    if not job.request.query_params.get("fieldManager"):
        cause = FieldError("fieldManager", "Required value: is required for apply patch", "FieldValueRequired")
        raise bad_options("PatchOptions", [cause])
    body = await bodies.read_body(job.request)
    value = _parse(body)
    for field in ("apiVersion", "kind"):
        if not value.get(field):
            raise bad_request(f"{field} must be set in the body of an apply patch")
    if metadata_of(value).get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    config: Json = without_nulls(check_header(value, job.target))
    config.pop("status", None)
    twice = bodies.repeated(body, JSON)
    shape = job.api.schemas.shape(job.target.row)
    current = await job.api.store.find(key_of(job.target))
    uid = dig(config, "metadata", "uid")
    if current is None and uid:
        about = job.target.about
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: "
        raise conflict(about, f"Operation cannot be fulfilled on {about}: {why}")
    if current is None:
        made = apply(None, config, job.writer, shape, job.target.about, force=job.options.force)
        try:
            return await create_from(job, _served(job, made), twice, owned=True)
        except Failure as failure:
            if failure.reason != "AlreadyExists":
                raise

    def change(live: Json) -> Json:
        result = apply(live, config, job.writer, shape, job.target.about, force=job.options.force)
        if not dig(config, "metadata", "resourceVersion"):
            metadata_of(result).pop("resourceVersion", None)
        return _served(job, result)

    return await change_object(job, change, twice, owned=True)


def _served(job: Job, value: Json) -> Json:
    return {**value, "apiVersion": job.target.api_version}


def _parse(body: bytes) -> Json:
    """Clients may send YAML; kubectl and libraries send JSON."""
    if body.lstrip()[:1] == b"{":
        return bodies.parse_object(body, JSON)
    return bodies.parse_object(body, YAML)
