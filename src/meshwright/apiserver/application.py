"""The ASGI application: who asks, what for, whether they may, and which handler answers."""

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import msgspec
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket, WebSocketState

from meshwright.apiserver import access, bodies, discovery
from meshwright.apiserver.access import User, kind_name
from meshwright.apiserver.answers import Marked
from meshwright.apiserver.api import Api
from meshwright.apiserver.deleting import delete, delete_collection
from meshwright.apiserver.door import forbidden_to, user_at
from meshwright.apiserver.failure import (
    About,
    Failure,
    bad_request,
    forbidden,
    internal,
    method_not_allowed,
    no_such_page,
)
from meshwright.apiserver.health import Health
from meshwright.apiserver.negotiation import WHOLE, Form, check_body_type, wanted
from meshwright.apiserver.openapi import empty_v2
from meshwright.apiserver.options import Target, flag, parse_target
from meshwright.apiserver.parts import serve_part
from meshwright.apiserver.patching import patch
from meshwright.apiserver.reading import get, list_objects, watch
from meshwright.apiserver.values import Json
from meshwright.apiserver.writing import create, job_of, replace_object

LOG = logging.getLogger(__name__)
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
KUBERNETES_MINOR = "37"  # of the kubectl that the tests run; another one warns about skew
_VERBS = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_COLLECTION_VERBS = {"GET": "list", "POST": "create", "DELETE": "deletecollection"}
_TOLD_AT_THE_DOOR = (401, 403)
_POLICY_VIOLATION = 1008  # a WebSocket closed with a reason
_LONGEST_REASON = 100  # a close frame has room for 123 bytes


def application(api: Api) -> ASGIApp:
    """All paths. Every failure is a Status object; what is not foreseen is 500 and stands in the log."""
    pages = _Pages(api)
    health = Health(api)
    objects = _Objects(api)
    routes = Starlette(
        routes=[
            Route("/", pages.root),
            Route("/healthz", health.alive),
            Route("/livez", health.alive),
            Route("/readyz", health.ready),
            Route("/version", pages.version),
            Route("/api", pages.core),
            Route("/apis", pages.groups),
            Route("/api/{version}", pages.resources),
            Route("/apis/{group}", pages.group),
            Route("/apis/{group}/{version}", pages.resources),
            Route("/openapi/v2", pages.openapi_v2),
            Route("/openapi/v3", pages.openapi),
            Route("/openapi/v3/{path:path}", pages.openapi_document),
            *(
                Route(f"/apis/{review.group}/{review.version}/{review.plural}", pages.review, methods=["POST"])
                for review in discovery.REVIEWS
            ),
            WebSocketRoute("/{path:path}", objects.socket),
            Route("/{path:path}", objects.serve, methods=METHODS),
        ],
        exception_handlers={
            Failure: _failed,
            HTTPStatus.NOT_FOUND: _no_page,
            HTTPStatus.METHOD_NOT_ALLOWED: _no_method,
            Exception: _broken,
        },
    )
    return Marked(routes)


def _json(value: object, kind: str = WHOLE.content_type, status: int = HTTPStatus.OK) -> Response:
    return Response(msgspec.json.encode(value), status, media_type=kind)


async def _failed(_request: Request, failure: Exception) -> Response:
    assert isinstance(failure, Failure)
    response = _json(failure.status(), status=failure.code)
    if failure.retry_after:
        response.headers["Retry-After"] = str(failure.retry_after)
    if failure.allow:
        response.headers["Allow"] = failure.allow
    if failure.code is HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="meshwright"'
    return response


async def _no_page(request: Request, _error: Exception) -> Response:
    return await _failed(request, no_such_page())


async def _no_method(request: Request, _error: Exception) -> Response:
    return await _failed(request, method_not_allowed())


async def _broken(request: Request, error: Exception) -> Response:
    LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return await _failed(request, internal("the log of the control plane has the details"))


def refused_to(connection: HTTPConnection, user: User, verb: str, about: About, namespace: str) -> Failure:
    """403 for a user that is known, with a line in the log."""
    where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    why = f'User "{user.name}" cannot {verb} resource "{about.plural}" in API group "{about.group}" {where}'
    forbidden_to(connection, user, why)
    return forbidden(about, why)


class _Pages:
    """Everything that is no object: health, versions, discovery, schemas and reviews."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def _user(self, request: Request) -> User:
        return await user_at(request, self._api.authenticate, self._api.allowed)

    async def root(self, request: Request) -> Response:
        await self._user(request)
        return _json(discovery.paths(self._api.catalogue))

    async def version(self, _request: Request) -> Response:
        minor = KUBERNETES_MINOR
        return _json({
            "major": "1",
            "minor": minor,
            "gitVersion": f"v1.{minor}.0+meshwright",
            "gitCommit": "",  # clients want all of these to be there
            "gitTreeState": "clean",
            "buildDate": "1970-01-01T00:00:00Z",
            "goVersion": "",
            "compiler": "cpython",
            "platform": "linux/amd64",
        })  # fmt: skip

    async def core(self, request: Request) -> Response:
        return await self._discover(request, discovery.core_versions(), core=True)

    async def groups(self, request: Request) -> Response:
        return await self._discover(request, discovery.group_list(self._api.catalogue), core=False)

    async def _discover(self, request: Request, plain: Json, *, core: bool) -> Response:
        await self._user(request)
        form = wanted(request.headers.get("accept", ""))
        if form.form is not Form.DISCOVERY:
            return _json(plain)
        everything = discovery.aggregated(self._api.catalogue, self._api.subresources, core=core)
        return _json(everything, discovery.AGGREGATED)

    async def group(self, request: Request) -> Response:
        await self._user(request)
        return self._found(discovery.one_group(self._api.catalogue, request.path_params["group"]))

    async def resources(self, request: Request) -> Response:
        await self._user(request)
        group, version = request.path_params.get("group", ""), request.path_params["version"]
        return self._found(discovery.resource_list(self._api.catalogue, self._api.subresources, group, version))

    def _found(self, value: Json | None) -> Response:
        if value is None:
            raise no_such_page()
        return _json(value)

    async def openapi_v2(self, request: Request) -> Response:
        await self._user(request)
        body, kind = empty_v2(request.headers.get("accept", ""))
        return Response(body, media_type=kind)

    async def openapi(self, request: Request) -> Response:
        await self._user(request)
        return _json(self._api.openapi.index())

    async def openapi_document(self, request: Request) -> Response:
        await self._user(request)
        parts = request.path_params["path"].split("/")
        known = {("api", 2): 1, ("apis", 3): 2}.get((parts[0], len(parts)))
        group = parts[1] if known == 2 else ""  # noqa: PLR2004 - the place of the version
        document = self._api.openapi.document(group, parts[known]) if known else None
        if document is None:
            raise no_such_page()
        return Response(document, media_type=WHOLE.content_type)

    async def review(self, request: Request) -> Response:
        """A question about the asking user; nothing is kept."""
        user = await self._user(request)
        kind = check_body_type(request.headers.get("content-type", ""))
        value = bodies.parse_object(await bodies.read_body(request), kind, self._api.schemas.definitions)
        name = request.url.path.rpartition("/")[2]
        match name:
            case "selfsubjectaccessreviews":
                answer = access.access_review(value, user, self._api.allowed)
            case "selfsubjectrulesreviews":
                answer = access.rules_review(value, user, self._api.allowed)
            case "tokenreviews":
                if not self._api.allowed(user, "create", kind_name("authentication.k8s.io", name), ""):
                    raise refused_to(request, user, "create", About("authentication.k8s.io", name), "")
                answer = await access.token_review(value, self._api.authenticate)
            case _:
                answer = access.who_am_i(value, user)
        return _json(answer, status=HTTPStatus.CREATED)


class _Objects:
    """Everything that is an object, or a part of one."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def serve(self, request: Request) -> Response:
        """One request. Raises Failure for all that cannot be answered."""
        user = await user_at(request, self._api.authenticate, self._api.allowed)
        target = parse_target(self._api.catalogue, request.url.path)
        verb = _verb(request, target)
        self._check(request, user, verb, target)
        if target.subresource:
            return await self._part(target, user, request)
        return await self._handlers(verb)(target, user, request)

    def _check(self, connection: HTTPConnection, user: User, verb: str, target: Target) -> None:
        """Raises Failure 403."""
        row = target.row
        kind = kind_name(row.group, row.plural, target.subresource)
        namespace = target.name if row.kind == "Namespace" else target.namespace
        if not self._api.allowed(user, verb, kind, namespace):
            raise refused_to(connection, user, verb, target.about, target.namespace)

    async def _part(self, target: Target, user: User, request: Request) -> Response:
        if target.subresource in target.row.subresources:
            return await serve_part(job_of(self._api, target, user, request))
        part = self._api.parts.get((target.row.plural, target.subresource)) if not target.row.group else None
        if part is None:
            raise no_such_page(_no_part(target))
        if part.http is None:
            raise bad_request(f"{target.subresource} needs a WebSocket (v5.channel.k8s.io)")
        return await part.http(request, target, user)

    def _handlers(self, verb: str) -> Callable[[Target, User, Request], Awaitable[Response]]:
        api = self._api
        match verb:
            case "get":
                return lambda target, _user, request: get(api, target, request)
            case "list":
                return lambda target, _user, request: list_objects(api, target, request)
            case "watch":
                return lambda target, _user, request: watch(api, target, request)
            case "create":
                return lambda target, user, request: create(job_of(api, target, user, request))
            case "update":
                return lambda target, user, request: replace_object(job_of(api, target, user, request))
            case "patch":
                return lambda target, user, request: patch(job_of(api, target, user, request))
            case "delete":
                return lambda target, user, request: delete(api, target, user, request)
            case _:
                return lambda target, user, request: delete_collection(api, target, user, request)

    async def socket(self, websocket: WebSocket) -> None:
        """A WebSocket to a part of an object."""
        try:
            user = await user_at(websocket, self._api.authenticate, self._api.allowed)
            target = parse_target(self._api.catalogue, websocket.url.path)
            self._check(websocket, user, "create", target)  # whatever the method: a WebSocket changes what runs
            part = self._api.parts.get((target.row.plural, target.subresource)) if not target.row.group else None
            if part is None or part.socket is None:
                raise no_such_page(_no_part(target))
            await part.socket(websocket, target, user)
        except Failure as failure:
            if failure.code not in _TOLD_AT_THE_DOOR:  # without the query, which has the command
                LOG.info("%d for a WebSocket to %.200r: %.500r", failure.code, websocket.url.path, failure.message)
            if websocket.application_state is not WebSocketState.CONNECTING:
                await websocket.close(_POLICY_VIOLATION, failure.message[:_LONGEST_REASON])
                return
            response = await _failed(Request({**websocket.scope, "type": "http", "method": "GET"}), failure)
            if "websocket.http.response" in websocket.scope.get("extensions", {}):
                await websocket.send_denial_response(response)
            else:
                await websocket.close(_POLICY_VIOLATION, failure.message[:_LONGEST_REASON])


def _verb(request: Request, target: Target) -> str:
    """What a request wants to do. Raises Failure 405."""
    method = "GET" if request.method == "HEAD" else request.method
    if target.name:
        verb = _VERBS.get(method) or ("create" if method == "POST" and target.subresource else None)
    else:
        verb = _COLLECTION_VERBS.get(method)
    if verb is None or (verb == "create" and not target.subresource and not _has_place(target)):
        raise method_not_allowed(target.about, _allowed(target))
    if verb == "list" and flag(request.query_params, "watch"):
        return "watch"
    return verb


def _no_part(target: Target) -> str:
    return f"{target.row.plural} have no {target.subresource} in this mesh"


def _allowed(target: Target) -> str:
    """The methods that a path takes, as the Allow header lists them."""
    if target.name:
        return "GET, HEAD, PUT, PATCH" + ("" if target.subresource else ", DELETE")
    return "GET, HEAD, POST, DELETE" if _has_place(target) else "GET, HEAD, DELETE"


def _has_place(target: Target) -> bool:
    """Whether objects can be made here: those of namespaces need one."""
    return bool(target.namespace) == target.row.namespaced
