"""What all handlers share: the store and the parts around it, handed in by whoever wires the process."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from meshwright.apiserver.access import Allowed, Authenticate, User, admins_only
from meshwright.apiserver.discovery import Subresource
from meshwright.apiserver.failure import FieldError
from meshwright.apiserver.openapi import OpenApi
from meshwright.apiserver.options import Target
from meshwright.apiserver.resources import Catalogue
from meshwright.apiserver.schemas import Schemas, load
from meshwright.apiserver.values import Json
from meshwright.store.store import Store

Validate = Callable[[Json], Sequence[FieldError]]
"""What is wrong with a whole object (in its stored version): all of it at once; warnings do not refuse it."""
PartHandler = Callable[[Request, Target, User], Awaitable[Response]]
SocketHandler = Callable[[WebSocket, Target, User], Awaitable[None]]


def accept_all(_value: Json) -> Sequence[FieldError]:
    """No rules beyond the schema."""
    return ()


@dataclass(frozen=True, slots=True)
class Part:
    """A subresource that somebody else serves, such as the logs of pods. Either handler may be missing."""

    about: Subresource
    http: PartHandler | None = None
    socket: SocketHandler | None = None


@dataclass(slots=True, eq=False)
class Streams:
    """Answers that go on until they are told to stop."""

    stopping: bool = False
    _limits: set[asyncio.Timeout] = field(default_factory=set[asyncio.Timeout])

    def limit(self, seconds: float) -> asyncio.Timeout:
        """A limit in time for one wait, which ends at once when the server stops."""
        now = asyncio.get_running_loop().time()
        return asyncio.timeout_at(now if self.stopping else now + seconds)

    def add(self, limit: asyncio.Timeout) -> None:
        self._limits.add(limit)

    def remove(self, limit: asyncio.Timeout) -> None:
        self._limits.discard(limit)

    @asynccontextmanager
    async def until_stopped(self) -> AsyncGenerator[None]:
        """A block that is ended from within when the server stops."""
        limit = asyncio.timeout(0 if self.stopping else None)
        self.add(limit)
        try:
            async with limit:
                yield
        except TimeoutError:
            if not limit.expired():
                raise
        finally:
            self.remove(limit)

    def stop(self) -> None:
        """Ends all of them, and every later one."""
        self.stopping = True
        now = asyncio.get_running_loop().time()
        for limit in self._limits:
            limit.reschedule(now)


@dataclass(frozen=True, slots=True)
class Api:
    """The object API of one mesh. `namespaces_needed`: whether an object's namespace must be there first."""

    store: Store
    catalogue: Catalogue
    schemas: Schemas
    openapi: OpenApi
    authenticate: Authenticate
    allowed: Allowed = admins_only
    validate: Validate = accept_all
    parts: Mapping[tuple[str, str], Part] = field(default_factory=dict[tuple[str, str], Part])
    ready: Callable[[], str] = str  # why the mesh is not ready; empty when it is
    namespaces_needed: bool = True
    streams: Streams = field(default_factory=Streams)

    @property
    def subresources(self) -> tuple[Subresource, ...]:
        """What discovery tells of the parts."""
        return tuple(part.about for part in self.parts.values())


def make_api(  # noqa: PLR0913 - each is one seam, by name
    store: Store,
    catalogue: Catalogue,
    authenticate: Authenticate,
    *,
    allowed: Allowed = admins_only,
    validate: Validate = accept_all,
    parts: Sequence[Part] = (),
    ready: Callable[[], str] = str,
    streams: Streams | None = None,
) -> Api:
    """The API over a store; `streams`: those that parts share with it.

    Raises SchemasMissingError where `make setup` was not run.
    """
    schemas = load(catalogue.rows)
    return Api(
        store=store,
        catalogue=catalogue,
        schemas=schemas,
        openapi=OpenApi(catalogue, schemas),
        authenticate=authenticate,
        allowed=allowed,
        validate=validate,
        parts={(part.about.resource, part.about.name): part for part in parts},
        ready=ready,
        streams=streams or Streams(),
    )
