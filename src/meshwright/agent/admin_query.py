"""What the command line may ask an Envoy's admin interface, and the answer as a file in memory.

Answers may be large (a configuration dump of a big mesh), so they are written piece by piece into a file without a
name, whose descriptor goes to whoever asked.
"""

import asyncio
import os
import re
from pathlib import Path

from meshwright.agent.http_client import HttpError, HttpRequest, download
from meshwright.processes import unixsockets
from meshwright.processes.messages import BadRequest
from meshwright.processes.spool import write_all

READ = frozenset({"/config_dump", "/clusters", "/listeners", "/certs", "/server_info", "/stats", "/ready"})
CHANGE = frozenset({"/logging"})  # nothing that affects traffic
LONGEST_TARGET = 1000
_QUERY = re.compile(r"[A-Za-z0-9_.,:=&%|*+-]*")
_SECONDS = 15.0
_HEADERS = (("Host", "envoy-admin"),)


async def answer_of(admin_socket: Path, target: str) -> tuple[int, int]:
    """Ask; HTTP status and a descriptor of the body, which is the caller's to close. Raises BadRequest.

    Logging levels are the only thing that may be changed; everything else is reading, and only what is listed.
    """
    request = checked(target)
    spool = os.memfd_create("admin", os.MFD_CLOEXEC)
    try:
        async with asyncio.timeout(_SECONDS):
            answer = await download(unixsockets.connect(admin_socket), request, lambda piece: write_all(spool, piece))
        os.lseek(spool, 0, os.SEEK_SET)
    except (OSError, HttpError, TimeoutError) as error:
        os.close(spool)
        why = "not in time" if isinstance(error, TimeoutError) else str(error)
        raise BadRequest(f"its Envoy does not answer: {why}", "no-envoy") from None
    except BaseException:
        os.close(spool)
        raise
    return answer.status, spool


def checked(target: str) -> HttpRequest:
    """The request for a target that is allowed. Raises BadRequest."""
    path, _, query = target.partition("?")
    if len(target) > LONGEST_TARGET or _QUERY.fullmatch(query) is None or path not in READ | CHANGE:
        raise BadRequest(f"{target[:80]!r} may not be asked of an Envoy", "not-allowed")
    return HttpRequest(target, _HEADERS, method="POST" if path in CHANGE else "GET")
