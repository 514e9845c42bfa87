"""POST, PUT and PATCH of objects, with optimistic concurrency, dry runs and owners of fields."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from meshwright.apiserver import bodies
from meshwright.apiserver.access import User
from meshwright.apiserver.admission import Admitted, admit, check_uid, sent_revision
from meshwright.apiserver.api import Api
from meshwright.apiserver.failure import (
    About,
    Failure,
    FieldError,
    bad_request,
    changed_meanwhile,
    forbidden,
    not_found,
    raise_for_store,
)
from meshwright.apiserver.managed_fields import Writer, after_update
from meshwright.apiserver.negotiation import Wanted, check_body_type, media_type, wanted
from meshwright.apiserver.options import Strictness, Target, WriteOptions, write_options
from meshwright.apiserver.reading import key_of
from meshwright.apiserver.rendering import Renderer
from meshwright.apiserver.values import Json, is_map, metadata_of
from meshwright.store.errors import ConflictError, StoreError
from meshwright.store.names import Author, Key, Owner, Resource
from meshwright.store.sources import system_sources, timestamp
from meshwright.store.version import Version
from meshwright.store.writes import Create, Update, UpdateStatus, Write

ATTEMPTS = 8  # of a write that named no version, when others write the same object
_LONGEST_WARNING = 600
_MOST_WARNINGS = 20
FIRST_STATUS: Mapping[str, Json] = {"Namespace": {"phase": "Active"}, "Pod": {"phase": "Pending"}}
_NAMESPACES = Resource("", "namespaces")


@dataclass(frozen=True, slots=True)
class Job:
    """One write on its way: what every step of it needs."""

    api: Api
    target: Target
    user: User
    options: WriteOptions
    request: Request

    @property
    def writer(self) -> Writer:
        return Writer(self.options.manager, self.target.api_version, timestamp(system_sources().now()))


def job_of(api: Api, target: Target, user: User, request: Request) -> Job:
    """Raises Failure for options that make no sense."""
    options = write_options(request.query_params, request.headers.get("user-agent", ""))
    return Job(api, target, user, options, request)


async def commit(job: Job, *writes: Write) -> Version:
    """Writes all at once, or only tries to (dry run); the version that is the result. Raises StoreError."""
    author = Author(job.user.name)
    run = job.api.store.rehearse if job.options.dry_run else job.api.store.transact
    written = (await run(writes, author, job.options.manager)).written[-1]
    assert written.version is not None, "these writes are never left out"
    return written.version


def respond(job: Job, version: Version, warnings: list[str], status: int, before: Version | None) -> Response:
    """The object after the write, in the form that the client wants."""
    form = wanted(job.request.headers.get("accept", ""))
    renderer = Renderer.of(job.target, form, job.request.query_params.get("includeObject"))
    body = renderer.one(version)
    if job.options.dry_run:
        body = _as_it_was(body, before)
    response = Response(body, status, media_type=form.content_type)
    add_warnings(response, warnings)
    return response


def _as_it_was(body: bytes, before: Version | None) -> bytes:
    """A dry run makes no version: the object shows the one it has, or none."""
    value: Json = msgspec.json.decode(body)
    metadata = metadata_of(value)
    metadata.pop("resourceVersion", None)
    if before is not None:
        metadata["resourceVersion"] = str(before.revision)
    return msgspec.json.encode(value)


def add_warnings(response: Response, warnings: list[str]) -> None:
    """One Warning header each; kubectl shows them to people."""
    for text in warnings[:_MOST_WARNINGS]:
        plain = "".join(c if c.isprintable() else "'" for c in text)[:_LONGEST_WARNING]
        quoted = plain.encode("ascii", "replace").decode().replace("\\", "\\\\").replace('"', '\\"')
        response.headers.append("Warning", f'299 - "{quoted}"')


# ------------------------------------------------------------ POST
async def create(job: Job) -> Response:
    """A new object; 201."""
    value, twice = await read_object(job)
    if metadata_of(value).get("resourceVersion"):
        raise bad_request("resourceVersion should not be set on objects to be created")
    return await create_from(job, value, twice)


async def create_from(job: Job, value: Json, twice: list[str], *, owned: bool = False) -> Response:
    """The same for an object that was read already; `owned`: it has its managedFields."""
    target = job.target
    admitted = admit(job.api, target, value, None, job.options.strictness, twice)
    name = str(metadata_of(admitted.value).get("name") or "")
    await _check_namespace(job, name)
    made = admitted.value
    if not owned:
        made = after_update(None, made, job.writer, job.api.schemas.shape(target.row))
    key = Key(target.row.resource, target.namespace, name)
    writes: list[Write] = [Create(key, made)]
    if name and target.row.kind in FIRST_STATUS:
        writes.append(UpdateStatus(key, FIRST_STATUS[target.row.kind], Owner("apiserver")))
    try:
        version = await commit(job, *writes)
    except StoreError as error:
        raise_for_store(error, replace(target.about, name=name))
    return respond(job, version, admitted.warnings, HTTPStatus.CREATED, None)


async def _check_namespace(job: Job, name: str) -> None:
    """Raises Failure 404 where there is no such namespace, 403 where it is on its way out."""
    namespace = job.target.namespace
    if not namespace or not job.api.namespaces_needed:
        return
    found = await job.api.store.find(Key(_NAMESPACES, "", namespace))
    if found is None:
        raise not_found(About("", "namespaces", namespace))
    if "deletionTimestamp" in metadata_of(found.value()):
        about = replace(job.target.about, name=name)
        failure = forbidden(
            about, f"unable to create new content in namespace {namespace} because it is being terminated"
        )
        cause = FieldError("metadata.namespace", f"namespace {namespace} is being terminated", "NamespaceTerminating")
        raise Failure(failure.code, failure.reason, failure.message, about, (cause,))


async def read_object(job: Job) -> tuple[Json, list[str]]:
    """The body as an object, and the fields that it has twice. Raises Failure 400, 413, 415."""
    kind = check_body_type(job.request.headers.get("content-type", ""))
    body = await bodies.read_body(job.request)
    value = bodies.parse_object(body, kind, job.api.schemas.definitions)
    return value, (bodies.repeated(body, kind) if job.options.strictness is not Strictness.IGNORE else [])


# ------------------------------------------------------------ PUT and PATCH
Change = Callable[[Json], Json]
"""What a write makes of an object as it is (in the served version)."""


async def replace_object(job: Job) -> Response:
    """PUT: the object as sent, in the place of the one that is there."""
    value, twice = await read_object(job)

    def change(_current: Json) -> Json:
        return value

    return await change_object(job, change, twice)


async def change_object(job: Job, change: Change, twice: list[str] | None = None, *, owned: bool = False) -> Response:
    """Reads, changes and writes, again where others wrote in between and the client named no version.

    `owned`: the change keeps managedFields itself.
    """

    async def once(current: Version, value: Json) -> Response:
        admitted = _changed(job, value, current, twice or [], owned=owned)
        version = await commit(job, Update(current.key, admitted.value, current.revision, current.uid))
        return respond(job, version, admitted.warnings, HTTPStatus.OK, current)

    return await written(job, change, once, wanted(""))


async def written(
    job: Job, change: Change, once: Callable[[Version, Json], Awaitable[Response]], form: Wanted
) -> Response:
    """What `once` answers, which writes what `change` made of the object as it is (rendered in this form). It is
    read and changed again when others wrote in between and the client named no version.
    """
    target = job.target
    for attempt in range(ATTEMPTS):
        try:
            current = await job.api.store.get(key_of(target))
            value = change(Renderer.of(target, form).value(current))
            named = sent_revision(value)
            check_uid(value, current.uid, target)
            if named and named != str(current.revision):
                raise changed_meanwhile(target.about)
            return await once(current, value)
        except ConflictError as error:
            if attempt == ATTEMPTS - 1:
                raise_for_store(error, target.about)
        except StoreError as error:
            raise_for_store(error, target.about)
    raise changed_meanwhile(target.about)


def _changed(job: Job, value: Json, current: Version, twice: list[str], *, owned: bool) -> Admitted:
    """The new object with its owners of fields; managedFields stay as they are when nothing else differs."""
    before = current.value()
    admitted = admit(job.api, job.target, value, before, job.options.strictness, twice)
    if not owned:
        shape = job.api.schemas.shape(job.target.row)
        admitted.value = after_update(before, admitted.value, job.writer, shape)
    return admitted


def patch_type(request: Request) -> str:
    return media_type(request.headers.get("content-type", ""))


def as_object(value: Any) -> Json:
    """The result of a patch. Raises Failure 400."""
    if not is_map(value):
        raise bad_request("the patch leaves no object")
    return value
