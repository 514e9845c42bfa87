"""One of the last requests, as proxies log them, becomes the question where such a request goes now.

Only what is logged can be asked again: caller, address, method and path; other headers are not written down.
"""

from collections.abc import Mapping
from typing import Any

from meshwright.model.snapshot import Snapshot
from meshwright.wiring.explaining import OUTSIDE, Question, QuestionError
from meshwright.wiring.sentences import REFUSALS

GRPC = "grpc"


def question_of(snapshot: Snapshot, record: Mapping[str, Any]) -> Question:
    """`record` as `meshwright requests -o json` prints it. Raises QuestionError when it does not tell enough."""
    method, path = _text(record, "method"), _text(record, "path")
    if not method or not path:
        raise QuestionError(REFUSALS.say("only-requests"))
    namespace, slash, name = _text(record, "source").partition("/")
    if not slash:
        raise QuestionError(REFUSALS.say("unknown-sender"))
    address = _text(record, "authority") or _text(record, "service")
    caller, scheme = _caller(snapshot, namespace, name), "http"
    if caller == OUTSIDE:
        scheme = _text(record, "scheme") or scheme
    if _text(record, "protocol") == GRPC:
        scheme = GRPC
    return Question(caller, f"{scheme}://{address}{path}", method, (), namespace)


def _caller(snapshot: Snapshot, namespace: str, name: str) -> str:
    """A gateway's requests come from outside. Raises QuestionError for a caller that has gone."""
    loads = [
        load
        for load in snapshot.workloads
        if load.meta.namespace == namespace and name in (load.owner, load.meta.name)
    ]
    if not loads:
        raise QuestionError(REFUSALS.say("sender-gone", sender=f"{namespace}/{name}"))
    if any(load.is_gateway for load in loads):
        return OUTSIDE
    return f"{'deploy/' if loads[0].owner == name else ''}{name}.{namespace}"


def _text(record: Mapping[str, Any], name: str) -> str:
    value = record.get(name)
    return value if isinstance(value, str) else ""
