"""The last requests of a running mesh, and which of them somebody means."""

import http.client
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlencode

from meshwright.cli.failure import Failure, UnreachableFailure, UsageFailure
from meshwright.telemetry.graph import is_failure
from meshwright.wiring.local_mesh import LocalMesh

MOST = 200  # the console's API gives no more at once
SECONDS = 10.0
SETTLED_SECONDS = 3.0  # proxies are read one after another, each two seconds, and a hop is written when it has ended
LAST, LAST_FAILED, FROM_INPUT = "last", "last-failed", "-"
OK = 200
REQUEST_ID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
ARRIVES_SECONDS = 4.0
Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Meant:
    """One request on its way through the mesh: `hops` in the order in which they began, `chosen` one of them."""

    hops: tuple[Record, ...]
    chosen: int

    @property
    def record(self) -> Record:
        return self.hops[self.chosen]


def last_requests(mesh: LocalMesh, most: int, *, request: str = "", failed: bool = False) -> list[Record]:
    """At most `most`, the newest at the end; `request`: how the id begins of those that are meant. Raises Failure."""
    port = mesh.telemetry_ports().get("console")
    if port is None:
        raise UnreachableFailure(
            f"the telemetry of the mesh in {mesh.data.root} does not run (yet): meshwright status"
        )
    asked = {"limit": str(most), "id": request, "failed": "true" if failed else ""}
    connection = http.client.HTTPConnection("localhost", port, timeout=SECONDS)
    try:
        headers = {"authorization": f"Bearer {mesh.console_token()}"}
        connection.request("GET", f"/api/v1/requests?{urlencode(asked)}", headers=headers)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise UnreachableFailure(f"the telemetry of the mesh in {mesh.data.root} does not answer: {error}") from None
    finally:
        connection.close()
    if answer.status != OK:
        raise Failure(f"the telemetry of the mesh says {answer.status}: {body.decode(errors='replace')}")
    return list(reversed(json.loads(body)["requests"]))


def meant(mesh: LocalMesh, words: str, hop: int | None) -> Meant:
    """The request that `words` mean: its id or how that begins, `last`, or `last-failed`. Raises Failure."""
    if words in (LAST, LAST_FAILED):
        failed = words == LAST_FAILED
        found = [each for each in last_requests(mesh, MOST, failed=failed) if each.get("id")]
        if not found:
            raise Failure(f"no request {'that failed ' if failed else ''}is kept (meshwright requests)")
        words = (_settled(found, time.time()) or found)[-1]["id"]
    hops = last_requests(mesh, MOST, request=words)
    end = time.monotonic() + ARRIVES_SECONDS
    while not hops and REQUEST_ID.fullmatch(words) and time.monotonic() < end:  # as from a log line of just now
        time.sleep(0.5)
        hops = last_requests(mesh, MOST, request=words)
    names = sorted({str(each["id"]) for each in hops})
    if not names:
        raise Failure(
            f"request {words} is not kept: one is known two seconds after its answer; the last 10,000 stay, and "
            "10,000 errors (meshwright requests)"
        )
    if len(names) > 1:
        raise UsageFailure(f"--request {words} may mean {', '.join(names)}")
    return _chosen(hops, hop)


def _settled(records: Sequence[Record], now: float) -> list[Record]:
    """Those old enough that the other hops of their requests have been read as well; `now` in seconds since 1970."""
    return [each for each in records if float(each["time"]) + (each.get("ms") or 0) / 1000 < now - SETTLED_SECONDS]


def from_text(text: str, hop: int | None) -> Meant | str:
    """What somebody pipes in: records as `requests -o json` prints them (the last one is meant), or a line of an
    access log, of which the id is returned. Raises UsageFailure.
    """
    if records := _records(text):
        return Meant((records[-1],), 0) if hop is None else _chosen(records, hop)
    if found := REQUEST_ID.findall(text):
        return found[-1]
    raise UsageFailure(
        "--request -: neither a record of `meshwright requests -o json` nor a log line with a request's id"
    )


def _chosen(hops: Sequence[Record], hop: int | None) -> Meant:
    """The hop that was asked for; else the last that failed, which is where it began to fail; else the first."""
    if hop is not None:
        if hop > len(hops):
            raise UsageFailure(f"--hop {hop}: the request has {len(hops)} hops")
        return Meant(tuple(hops), hop - 1)
    failed = [number for number, each in enumerate(hops) if is_failure(str(each.get("code") or ""))]
    return Meant(tuple(hops), failed[-1] if failed else 0)


def _records(text: str) -> list[Record]:
    """All JSON objects of a text: one, a list of them, or one in each line."""
    values: list[object] = []
    for piece in (text, *text.splitlines()):
        try:
            values.append(json.loads(piece))
        except ValueError:
            continue
        if piece is text:
            break
    flat: list[object] = []
    for value in values:
        flat += cast("list[object]", value) if isinstance(value, list) else [value]
    return [cast("Record", each) for each in flat if isinstance(each, dict) and "source" in each]
