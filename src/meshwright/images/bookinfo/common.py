"""What the Bookinfo services share: forwarded headers, addresses of the others, the health answer."""

from __future__ import annotations

import os

from meshwright.images.server import Request, Response, json_response

PORT = 9080
"""The port of every Bookinfo service."""

TRACE_HEADERS = (
    "x-request-id",
    "x-ot-span-context",
    "x-datadog-trace-id",
    "x-datadog-parent-id",
    "x-datadog-sampling-priority",
    "traceparent",
    "tracestate",
    "x-cloud-trace-context",
    "grpc-trace-bin",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
    "b3",
    "sw8",
    "user-agent",
    "cookie",
    "authorization",
    "jwt",
)
"""Fields that each service copies from the request it serves to the requests it makes."""

END_USER = "end-user"
"""The field with the user who is logged in; productpage sets it, the others pass it on."""


def forwarded(request: Request, *more: str) -> list[tuple[str, str]]:
    """The fields of a request that are passed on, and those in `more`."""
    names = frozenset((*TRACE_HEADERS, *more))
    return [(name.lower(), value) for name, value in request.headers.items if name.lower() in names]


def service_url(name: str) -> str:
    """The base URL of a Bookinfo service: `<NAME>_HOSTNAME`, `<NAME>_SERVICE_PORT`, `SERVICES_DOMAIN`."""
    variable = name.upper()
    host = os.environ.get(f"{variable}_HOSTNAME") or name
    domain = os.environ.get("SERVICES_DOMAIN", "")
    port = os.environ.get(f"{variable}_SERVICE_PORT") or str(PORT)
    return f"http://{host}{'.' + domain if domain else ''}:{port}"


def enabled(variable: str) -> bool:
    """Whether an environment variable says `true`."""
    return os.environ.get(variable, "").lower() == "true"


def health(name: str) -> Response:
    """The answer of `/health`."""
    return json_response(200, {"status": f"{name} is healthy"})


def not_found() -> Response:
    """The answer for a path that a service does not have."""
    return json_response(404, {"error": "no such page"})


def wrong_method(*allowed: str) -> Response:
    """The answer for a method that a path does not know."""
    response = json_response(405, {"error": "method not allowed"})
    response.headers.append(("allow", ", ".join(allowed)))
    return response


def reading(request: Request) -> bool:
    """Whether the request only reads."""
    return request.method in {"GET", "HEAD"}
