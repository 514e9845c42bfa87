"""`pods/log`: the output of a container, as `kubectl logs` asks for it."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from meshwright.apiserver.access import User
from meshwright.apiserver.api import Part, Streams
from meshwright.apiserver.discovery import Subresource
from meshwright.apiserver.failure import FieldError, bad_request, invalid, method_not_allowed
from meshwright.apiserver.options import Target, flag
from meshwright.apiserver.pod_containers import pod_of, same_program
from meshwright.apiserver.pod_streams import LogOptions, PodStreams
from meshwright.model.names import Milliseconds
from meshwright.store.store import Store

_MOST_DIGITS = 18


class PodLogs:
    """The handler of one API."""

    def __init__(self, store: Store, machine: PodStreams, streams: Streams) -> None:
        self._store = store
        self._machine = machine
        self._streams = streams

    def part(self) -> Part:
        """What make_api takes."""
        return Part(Subresource("pods", "log", "Pod", ("get",)), http=self.serve)

    async def serve(self, request: Request, target: Target, _user: User) -> Response:
        """Raises Failure 400, 404, 405 or 422."""
        if request.method not in ("GET", "HEAD"):
            raise method_not_allowed(target.about)
        query = request.query_params
        previous = flag(query, "previous")
        options = _options(query, target)
        pod = await pod_of(self._store, target)
        ref = pod.container(query.get("container", ""))
        if not pod.value.get("spec", {}).get("nodeName"):
            return Response(b"", media_type="text/plain")
        back = pod.backwards(ref, previous=previous)
        unchanged = same_program(self._store, target, ref, pod)

        async def going_on() -> bool:
            if self._streams.stopping or await request.is_disconnected():
                return False
            return await unchanged()

        wanted = LogOptions(
            back, options.follow and not previous, options.tail, options.since, options.timestamps, options.limit
        )
        return StreamingResponse(
            _counted(self._machine.logs(ref, wanted, going_on)),
            media_type="text/plain",
            headers={"Cache-Control": "no-cache, private"},
        )


async def _counted(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Empty pieces would look like the end."""
    async for piece in pieces:
        if piece:
            yield piece


def _options(query: QueryParams, target: Target) -> LogOptions:
    """Raises Failure 422 with every option that is wrong, 400 for what is no value at all."""
    wrong: list[FieldError] = []
    since = _since(query, wrong)
    tail = _number(query, "tailLines", 0, wrong)
    limit = _number(query, "limitBytes", 1, wrong)
    if query.get("stream", "All") not in ("", "All"):
        wrong.append(
            FieldError(
                "stream",
                f'Unsupported value: "{query["stream"][:40]}": both streams are kept in one',
                "FieldValueNotSupported",
            )
        )
    options = LogOptions(0, flag(query, "follow"), tail, since, flag(query, "timestamps"), limit)
    if wrong:
        raise invalid("PodLogOptions", target.about, wrong)
    return options


def _since(query: QueryParams, wrong: list[FieldError]) -> Milliseconds | None:
    seconds = _number(query, "sinceSeconds", 1, wrong)
    text = query.get("sinceTime", "")
    if text and seconds is not None:
        said = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
        wrong.append(FieldError("sinceSeconds", said, "FieldValueForbidden"))
    if seconds is not None:
        return Milliseconds(int(time.time() * 1000) - seconds * 1000)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise bad_request(f'sinceTime: "{text[:40]}" is not a time of RFC 3339') from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return Milliseconds(int(moment.timestamp() * 1000))


def _number(query: QueryParams, name: str, least: int, wrong: list[FieldError]) -> int | None:
    text = query.get(name, "")
    if not text:
        return None
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS):
        raise bad_request(f'{name}: "{text[:40]}" is not a number')
    number = int(text)
    if number < least:
        said = "must be greater than 0" if least else "must be greater than or equal to 0"
        wrong.append(FieldError(name, f"Invalid value: {number}: {said}"))
    return number
