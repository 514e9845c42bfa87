"""What was found, in the words of somebody who does not know Envoy."""

from meshwright.envoyapi.envoy.config.route.v3.route_components_pb2 import Route
from meshwright.evaluator.clusters import Endpoint
from meshwright.evaluator.matching import conditions
from meshwright.evaluator.routes import without_port
from meshwright.evaluator.values import Application, Call, InjectedFault, Rewritten
from meshwright.model.origin import Origin


def listener(call: Call) -> str:
    """Why this listener."""
    return f"it takes {call.application.value} to {call.address or without_port(call.host)}:{call.port}"


def domain(host: str, matched: str) -> str:
    """Why this virtual host."""
    if matched == "*":
        return f"nothing else serves {host}, and this takes every host"
    return f"{host} fits {matched}" if "*" in matched else f"it serves {matched}"


def taken(route: Route) -> str:
    """Why this route."""
    asked = conditions(route.match)
    return f"all of its conditions hold: {', '.join(asked)}" if asked else "it takes every request"


def fault(found: InjectedFault) -> str:
    """What a fault does to requests."""
    share = f"{found.percentage:g}% of the requests"
    if found.type == "delay":
        return f"{share} wait {found.delay_ms} ms first"
    what = f"status {found.status}" if found.status is not None else f"gRPC status {found.grpc_status}"
    return f"{share} are answered with {what}, and go nowhere"


def rewritten(found: Rewritten) -> str:
    """What of a request is another at the destination."""
    parts = [f"the path becomes {found.path}"] if found.path else []
    return " and ".join([*parts, f"the host becomes {found.host}"] if found.host else parts)


def stream(call: Call, author: Origin | None) -> str:
    """How a connection is forwarded, and by whose word."""
    seen = ": only its server name is seen" if call.application is Application.TLS else ""
    ruled = author is not None and author.object.kind == "VirtualService"
    goes = "its rule says where the connection goes" if ruled else "no rule: the connection goes on as it is"
    return f"{goes}{seen}"


def encryption(ends: list[Endpoint], author: Origin | None) -> str:
    """How endpoints are spoken to, and by whose word."""
    own = sum(end.encryption.own for end in ends)
    if own == len(ends):
        by = ", as its DestinationRule says" if author is not None else ""
        return f"the mesh's mutual TLS, with the caller's own certificate{by}"
    if own:
        return f"the mesh's mutual TLS to the {own} of {len(ends)} endpoints with a proxy; plain text to the others"
    if any(end.encryption.is_tls for end in ends):
        return "TLS as its DestinationRule says"
    return "plain text"
