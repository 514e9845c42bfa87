"""Lifecycle hooks of containers: `postStart` and `preStop`."""

from collections.abc import Iterator
from dataclasses import replace

from meshwright.kinds.fields import Fields
from meshwright.kinds.handlers import EXEC, HTTP_GET, has_handler, read_handler
from meshwright.kinds.schema import Integer, Object, Unsupported
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.names import Milliseconds
from meshwright.model.pod import Hook

_HANDLERS = ("exec", "httpGet", "sleep")
_HOOKS = ("postStart", "preStop")


_HOOK = Object(
    fields={
        "exec": EXEC,
        "httpGet": replace(
            HTTP_GET, fields={**HTTP_GET.fields, "host": Unsupported("the pod itself is asked, whatever it says")}
        ),
        "sleep": Object(fields={"seconds": Integer()}, required={"seconds": "a whole number"}),
        "tcpSocket": Unsupported("a hook has exec, httpGet or sleep: Kubernetes runs no tcpSocket hook either"),
    },
    one_of=(_HANDLERS,),
    rules=(has_handler((*_HANDLERS, "tcpSocket"), "exec", "with `command` (or httpGet, sleep)"),),
)
LIFECYCLE = Object(
    fields={**dict.fromkeys(_HOOKS, _HOOK), "stopSignal": Unsupported("every program is told to end by SIGTERM")}
)


def read_hook(container: Fields, name: str) -> Hook | None:
    """The hook `postStart` or `preStop` of a container; None also for one of which nothing is left to do."""
    fields = container.child_or_empty("lifecycle").child_or_empty(name)
    sleep = fields.child("sleep")
    if sleep is not None:
        return Hook(sleep=Milliseconds(sleep.number_or("seconds", 0) * 1000))
    return Hook(read_handler(fields)) if fields.has("exec") or fields.has("httpGet") else None


def too_long_sleeps(container: Fields, grace_seconds: int) -> Iterator[Diagnostic]:
    """Hooks that would sleep longer than the whole pod may take to end: Kubernetes refuses both kinds."""
    for name in _HOOKS:
        sleep = container.child_or_empty("lifecycle").child_or_empty(name).child_or_empty("sleep")
        seconds = sleep.number_or("seconds", 0)
        if seconds > grace_seconds:
            bounds = f"0..{grace_seconds} (terminationGracePeriodSeconds)"
            yield Diagnostic(codes.OUT_OF_RANGE, sleep.origin.field("seconds"), (str(seconds), bounds))
