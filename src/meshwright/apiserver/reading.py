"""GET: one object, a list, or a watch."""

import asyncio
import random
from collections.abc import AsyncIterator
from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from meshwright.apiserver.api import Api
from meshwright.apiserver.failure import Failure, bad_request, raise_for_store
from meshwright.apiserver.negotiation import WATCH, Form, Wanted, wanted
from meshwright.apiserver.options import (
    ListOptions,
    Match,
    Target,
    WatchOptions,
    check_list,
    check_watch,
    list_options,
    watch_options,
)
from meshwright.apiserver.rendering import Renderer
from meshwright.store.errors import StoreError
from meshwright.store.names import Key, Revision
from meshwright.store.query import Page, Query, Scope
from meshwright.store.selectors import parse_selector
from meshwright.store.version import EventType, Version
from meshwright.store.watch import Watch

BOOKMARK_SECONDS = 30.0
LONGEST_WATCH = 3600  # seconds, and half as much again by chance, so that not all clients come back at once
_ANYWHERE = frozenset({"metadata.name", "metadata.namespace"})
_FIELDS = {
    "Pod": {"spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName", "status.phase", "status.podIP"},
    "Event": {
        "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
        "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath",
        "reason", "reportingComponent", "source", "type",
    },
    "Secret": {"type"},
    "Namespace": {"status.phase"},
    "Node": {"spec.unschedulable"},
    "ReplicaSet": {"status.replicas"},
}  # fmt: skip


def key_of(target: Target) -> Key:
    """The object that a path names."""
    return Key(target.row.resource, target.namespace, target.name)


def scope_of(target: Target, options: ListOptions) -> Scope:
    """The objects that a list or watch is about. Raises Failure 400 for selectors."""
    try:
        selector = parse_selector(options.labels, options.fields)
    except StoreError as error:
        raise_for_store(error, target.about)
    known = _ANYWHERE | _FIELDS.get(target.row.kind, set())
    for item in selector.fields:
        if item.path not in known:
            raise bad_request(
                f'Unable to find "{target.row.resource}" that match field selector "{options.fields}": '
                f"field label not supported: {item.path}: use one of {', '.join(sorted(known))}"
            )
    namespace = target.namespace or (None if target.row.namespaced else "")
    return Scope(target.row.resource, namespace, selector)


def json_response(body: bytes, wanted: Wanted, status: int = HTTPStatus.OK) -> Response:
    return Response(body, status, media_type=wanted.content_type)


async def get(api: Api, target: Target, request: Request) -> Response:
    """One object."""
    form = wanted(request.headers.get("accept", ""))
    try:
        version = await api.store.get(key_of(target))
    except StoreError as error:
        raise_for_store(error, target.about)
    renderer = Renderer.of(target, form, request.query_params.get("includeObject"))
    return json_response(renderer.one(version), form)


async def list_objects(api: Api, target: Target, request: Request) -> Response:
    """A list, page by page where `limit` is given; all pages show the same moment."""
    form = wanted(request.headers.get("accept", ""))
    options = list_options(request.query_params)
    check_list(options, watch_options(request.query_params))
    page = await page_of(api, target, options)
    renderer = Renderer.of(target, form, request.query_params.get("includeObject"))
    return json_response(renderer.page(page), form)


async def page_of(api: Api, target: Target, options: ListOptions) -> Page:
    """Raises Failure 400, 410 or 504."""
    scope = scope_of(target, options)
    if options.token and options.version not in ("", "0"):
        raise bad_request("resourceVersion: forbidden: it may not be set together with continue")
    at = int(options.version) if options.version else 0
    try:
        if options.match is Match.EXACT:
            return await api.store.list(Query(scope, options.limit or None, options.token or None, Revision(at)))
        page = await api.store.list(Query(scope, options.limit or None, options.token or None))
        if at > page.revision:
            # an exact question for a moment that is not there yet says so with the right words
            return await api.store.list(Query(scope, at=Revision(at)))
    except StoreError as error:
        raise_for_store(error, target.about)
    return page


async def watch(api: Api, target: Target, request: Request) -> Response:
    """Events as they happen, one JSON object per line."""
    accept = request.headers.get("accept", "")
    form = wanted(accept)
    options = list_options(request.query_params)
    timing = watch_options(request.query_params)
    check_watch(options, timing)
    renderer = Renderer.of(target, form, request.query_params.get("includeObject"))
    stream = _Stream(api, scope_of(target, options), renderer, timing)
    lines = stream.lines(options.version if options.version != "0" else "", target)
    kind = WATCH if form.form is Form.WHOLE else f"{form.content_type};stream=watch"
    return StreamingResponse(lines, media_type=kind, headers={"Cache-Control": "no-cache, private"})


class _Clock:
    """What is left of the time that a watch may take."""

    def __init__(self, seconds: int) -> None:
        chosen = seconds or LONGEST_WATCH + random.randrange(LONGEST_WATCH // 2)  # noqa: S311 - spreads load only
        self._end = asyncio.get_running_loop().time() + chosen

    @property
    def left(self) -> float:
        return max(0.0, self._end - asyncio.get_running_loop().time())


class _Stream:
    """One watch on its way to a client."""

    def __init__(self, api: Api, scope: Scope, renderer: Renderer, timing: WatchOptions) -> None:
        self._api = api
        self._scope = scope
        self._renderer = renderer
        self._timing = timing
        self._first = True

    async def lines(self, start: str, target: Target) -> AsyncIterator[bytes]:
        """All lines until the time is over, the client is too late, or the server stops."""
        try:
            since = Revision(int(start)) if start else None
            if self._timing.initial or (self._timing.initial is None and since is None):
                page = await self._newest(since)
                since = page.revision
                if page.items:
                    yield b"".join(self._line(EventType.ADDED, self._object(item)) for item in page.items)
                if self._timing.initial:
                    yield self._bookmark(since, initial_end=True)
            feed = await self._api.store.watch(self._scope, since)
            async for line in self._follow(feed):
                yield line
        except StoreError as error:
            yield self._failure(error, target)

    async def _newest(self, not_older: Revision | None) -> Page:
        """What there is now. Raises GoneError where `not_older` is of the future."""
        page = await self._api.store.list(Query(self._scope))
        if not_older is not None and page.revision < not_older:
            return await self._api.store.list(Query(self._scope, at=not_older))
        return page

    async def _follow(self, feed: Watch) -> AsyncIterator[bytes]:
        clock = _Clock(self._timing.timeout)
        while not self._api.streams.stopping:
            limit = self._api.streams.limit(min(BOOKMARK_SECONDS, clock.left))
            self._api.streams.add(limit)
            try:
                async with limit:
                    batch = await feed.batch()
                yield b"".join(self._line(event.type, self._object(event.version)) for event in batch)
                continue
            except TimeoutError:
                pass
            finally:
                self._api.streams.remove(limit)
            if self._timing.bookmarks:
                yield self._bookmark(feed.revision, initial_end=False)
            if clock.left <= 0:
                return

    def _object(self, version: Version) -> bytes:
        first, self._first = self._first, False
        return self._renderer.event(version, first=first)

    @staticmethod
    def _line(kind: str, body: bytes) -> bytes:
        return b'{"type":"%s","object":%s}\n' % (kind.encode(), body)

    def _bookmark(self, revision: Revision, *, initial_end: bool) -> bytes:
        body = msgspec.json.encode(self._renderer.bookmark(revision, initial_end=initial_end))
        return self._line("BOOKMARK", body)

    def _failure(self, error: StoreError, target: Target) -> bytes:
        try:
            raise_for_store(error, target.about)
        except Failure as failure:
            return self._line("ERROR", msgspec.json.encode(failure.status()))
