"""DELETE of one object or of many."""

from dataclasses import dataclass, replace
from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from meshwright.apiserver import bodies
from meshwright.apiserver.access import User
from meshwright.apiserver.api import Api
from meshwright.apiserver.failure import FieldError, bad_options, bad_request, forbidden, raise_for_store, success
from meshwright.apiserver.negotiation import WHOLE, check_body_type, wanted
from meshwright.apiserver.options import Propagation, Target, flag, is_dry_run, list_options, number
from meshwright.apiserver.reading import key_of, page_of
from meshwright.apiserver.rendering import Renderer
from meshwright.apiserver.resources import ApiResource
from meshwright.apiserver.values import Json, dig, is_list
from meshwright.store.errors import NotFoundError, StoreError
from meshwright.store.names import Author, Revision, Uid
from meshwright.store.query import Query, Scope
from meshwright.store.version import EventType, Version
from meshwright.store.writes import Delete, Written

FOREGROUND, ORPHAN, NAMESPACE_CONTENT = "foregroundDeletion", "orphan", "kubernetes"
POD_GRACE_SECONDS = 30
IMMORTAL = frozenset({"default", "kube-system", "kube-public"})


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """How something is to be deleted. `grace` is None where the client leaves it to the object."""

    dry_run: bool
    grace: int | None
    propagation: Propagation | None
    uid: Uid | None
    revision: Revision | None


async def delete_options(api: Api, request: Request) -> DeleteOptions:
    """From the body and, where that says nothing, from the query. Raises Failure 400."""
    body = await bodies.read_body(request)
    said: Json = {}
    if body:
        kind = check_body_type(request.headers.get("content-type", ""))
        said = bodies.parse_object(body, kind, api.schemas.definitions)
        if said.get("kind") not in (None, "", "DeleteOptions"):
            raise bad_request(f"the body of a deletion is DeleteOptions, not {said.get('kind')}")
    query = request.query_params
    dry_run = said.get("dryRun") or query.getlist("dryRun")
    if not is_list(dry_run):
        raise bad_request("dryRun must be a list")
    grace = said.get("gracePeriodSeconds")
    if grace is None and "gracePeriodSeconds" in query:
        grace = number(query, "gracePeriodSeconds")
    if grace is not None and (not isinstance(grace, int) or isinstance(grace, bool) or grace < 0):
        raise bad_request("gracePeriodSeconds must be a number from 0")
    revision, uid = (dig(said, "preconditions", name) for name in ("resourceVersion", "uid"))
    if revision is not None and not (isinstance(revision, str) and revision.isascii() and revision.isdigit()):
        raise bad_request("preconditions.resourceVersion is not a version of this server")
    return DeleteOptions(
        dry_run=is_dry_run([str(item) for item in dry_run]),
        grace=grace,
        propagation=_propagation(said, request),
        uid=Uid(str(uid)) if uid else None,
        revision=Revision(int(revision)) if revision else None,
    )


def _propagation(said: Json, request: Request) -> Propagation | None:
    text = said.get("propagationPolicy") or request.query_params.get("propagationPolicy")
    orphan = said.get("orphanDependents")
    if orphan is None and "orphanDependents" in request.query_params:
        orphan = flag(request.query_params, "orphanDependents")
    if text and orphan is not None:
        why = "Invalid value: orphanDependents and propagationPolicy cannot be both set"
        raise bad_options("DeleteOptions", [FieldError("propagationPolicy", why)])
    if orphan:
        return Propagation.ORPHAN
    try:
        return Propagation(text) if text else None
    except ValueError:
        why = f'Unsupported value: "{str(text)[:40]}": supported values: "Background", "Foreground", "Orphan"'
        raise bad_options("DeleteOptions", [FieldError("propagationPolicy", why, "FieldValueNotSupported")]) from None


async def delete(api: Api, target: Target, user: User, request: Request) -> Response:
    """The Status Success when it is gone, the object when something still holds it."""
    options = await delete_options(api, request)
    if target.row.kind == "Namespace" and target.name in IMMORTAL:
        raise forbidden(target.about, "this namespace may not be deleted")
    key = key_of(target)
    try:
        current = await api.store.get(key)
        written = await _delete(api, target.row, current, options, user)
    except StoreError as error:
        raise_for_store(error, target.about)
    if written.event is EventType.DELETED and not _shows_object(target):
        about = replace(target.about, uid=current.uid)
        return Response(msgspec.json.encode(success(about)), media_type=WHOLE.content_type)
    form = wanted(request.headers.get("accept", ""))
    version = written.version or current
    return Response(Renderer.of(target, form).one(version), HTTPStatus.OK, media_type=form.content_type)


def _shows_object(target: Target) -> bool:
    """Kinds whose deletion is answered with what was deleted."""
    return target.row.kind in ("Pod", "Service", "ServiceAccount", "Namespace")


async def _delete(api: Api, row: ApiResource, current: Version, options: DeleteOptions, user: User) -> Written:
    """One deletion. Raises StoreError."""
    write = Delete(
        current.key,
        options.revision,
        options.uid,
        _grace(row, current, options),
        await _finalizers(api, row, current, options),
    )
    run = api.store.rehearse if options.dry_run else api.store.transact
    return (await run((write,), Author(user.name), "delete")).written[0]


def _grace(row: ApiResource, current: Version, options: DeleteOptions) -> int:
    """Seconds until a pod that runs somewhere must be gone; its node ends it. Everything else goes at once."""
    if row.kind != "Pod":
        return 0
    value = current.value()
    if not dig(value, "spec", "nodeName") or dig(value, "status", "phase") in ("Succeeded", "Failed"):
        return 0
    if options.grace is not None:
        return options.grace
    own = dig(value, "spec", "terminationGracePeriodSeconds")
    return own if isinstance(own, int) and own > 0 else POD_GRACE_SECONDS


async def _finalizers(api: Api, row: ApiResource, current: Version, options: DeleteOptions) -> tuple[str, ...]:
    """What must happen before the object may go: controllers do it and take the finalizer away."""
    if row.kind == "Namespace":
        inside = await api.store.list(Query(Scope(None, current.key.name), limit=1))
        return (NAMESPACE_CONTENT,) if inside.items else ()
    match options.propagation:
        case Propagation.FOREGROUND:
            return (FOREGROUND,)
        case Propagation.ORPHAN:
            return (ORPHAN,)
        case _:
            return ()


async def delete_collection(api: Api, target: Target, user: User, request: Request) -> Response:
    """All objects that the selectors choose, one by one; the list of what was deleted."""
    options = await delete_options(api, request)
    page = await page_of(api, target, list_options(request.query_params))
    deleted: list[Version] = []
    for version in page.items:
        if target.row.kind == "Namespace" and version.key.name in IMMORTAL:
            continue
        try:
            await _delete(api, target.row, version, options, user)
        except NotFoundError:
            continue
        except StoreError as error:
            raise_for_store(error, replace(target.about, name=version.key.name))
        deleted.append(version)
    renderer = Renderer.of(target, WHOLE)
    body = renderer.list_of(deleted, {"resourceVersion": str(page.revision)})
    return Response(body, media_type=WHOLE.content_type)
