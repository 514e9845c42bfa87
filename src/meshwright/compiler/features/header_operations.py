"""VirtualService `headers`, of a rule or of one destination, changes headers on a route or weighted cluster."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer, RepeatedScalarFieldContainer

from meshwright.compiler.operators import is_accepted
from meshwright.envoyapi.envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.header_operations import HeaderChanges, HeaderOperations
from meshwright.model.origin import Origin

HOST_NAMES = frozenset({"host", ":authority"})


class Changed(Protocol):
    """Route and ClusterWeight have these fields in common."""

    @property
    def request_headers_to_add(self) -> RepeatedCompositeFieldContainer[HeaderValueOption]: ...
    @property
    def request_headers_to_remove(self) -> RepeatedScalarFieldContainer[str]: ...
    @property
    def response_headers_to_add(self) -> RepeatedCompositeFieldContainer[HeaderValueOption]: ...
    @property
    def response_headers_to_remove(self) -> RepeatedScalarFieldContainer[str]: ...


def change_headers(made: Changed, operations: HeaderOperations) -> None:
    """Envoy does not let the host be changed as a header: see `new_host`."""
    made.request_headers_to_add.extend(_added(operations.request))
    made.request_headers_to_remove.extend(_removed(operations.request))
    made.response_headers_to_add.extend(_added(operations.response))
    made.response_headers_to_remove.extend(_removed(operations.response))


def new_host(operations: HeaderOperations) -> str:
    """The host that `set` or `add` of Host or :authority asks for, "" when there is none."""
    asked = (*operations.request.add, *operations.request.set)
    return next((value for name, value in reversed(asked) if name.lower() in HOST_NAMES), "")


def refused_values(operations: HeaderOperations, origin: Origin) -> tuple[Diagnostic, ...]:
    """Values with a % that Envoy would refuse together with all other routes of the port."""
    found: list[Diagnostic] = []
    for side, changes in (("request", operations.request), ("response", operations.response)):
        for verb, pairs in (("set", changes.set), ("add", changes.add)):
            for name, value in pairs:
                if not is_accepted(value):
                    at = origin.field("headers").field(side).field(verb).field(name)
                    why = "it names no command of Envoy; a percent sign is written %%"
                    found.append(Diagnostic(codes.ENVOY_REFUSES, at, (value, why)))
    return tuple(found)


def _added(changes: HeaderChanges) -> Iterator[HeaderValueOption]:
    for action, pairs in (
        (HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD, changes.set),
        (HeaderValueOption.APPEND_IF_EXISTS_OR_ADD, changes.add),
    ):
        for name, value in pairs:
            if _is_changeable(name) and is_accepted(value):
                header = HeaderValue(key=name, value=value)
                # an empty value is a value: without the flag Envoy leaves the header out
                yield HeaderValueOption(header=header, append_action=action, keep_empty_value=not value)


def _removed(changes: HeaderChanges) -> Iterable[str]:
    return (name for name in changes.remove if _is_changeable(name))


def _is_changeable(name: str) -> bool:
    return not name.startswith(":") and name.lower() != "host"
