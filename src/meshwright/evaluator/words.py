"""What was found, in the words of somebody who does not know Envoy."""

from meshwright.envoyapi.envoy.config.route.v3.route_components_pb2 import Route
from meshwright.evaluator.clusters import Endpoint
from meshwright.evaluator.matching import conditions
from meshwright.evaluator.routes import without_port
from meshwright.evaluator.sentences import say
from meshwright.evaluator.values import Application, Call, InjectedFault, Rewritten
from meshwright.model.origin import Origin
from meshwright.model.sentence import Sentence


def listener(call: Call) -> Sentence:
    """Why this listener."""
    place = f"{call.address or without_port(call.host)}:{call.port}"
    return say("takes", application=call.application.value, place=place)


def domain(host: str, matched: str) -> Sentence:
    """Why this virtual host."""
    if matched == "*":
        return say("every-host", host=host)
    return say("fits", host=host, domain=matched) if "*" in matched else say("serves", domain=matched)


def taken(route: Route) -> Sentence:
    """Why this route."""
    asked = conditions(route.match)
    return say("conditions-hold", conditions=asked) if asked else say("every-request")


def fault(found: InjectedFault) -> Sentence:
    """What a fault does to requests."""
    share = f"{found.percentage:g}"
    if found.type == "delay":
        return say("delay", share=share, milliseconds=found.delay_ms or 0)
    if found.status is not None:
        return say("abort", share=share, status=found.status)
    return say("abort-grpc", share=share, status=found.grpc_status or 0)


def rewritten(found: Rewritten) -> Sentence:
    """What of a request is another at the destination."""
    if found.path and found.host:
        return say("both-become", path=found.path, host=found.host)
    return say("path-becomes", path=found.path) if found.path else say("host-becomes", host=found.host)


def stream(call: Call, author: Origin | None) -> Sentence:
    """How a connection is forwarded, and by whose word."""
    is_ruled = author is not None and author.object.kind == "VirtualService"
    return say(("stream-ruled" if is_ruled else "stream") + ("-tls" if call.application is Application.TLS else ""))


def encryption(ends: list[Endpoint], author: Origin | None) -> Sentence:
    """How endpoints are spoken to, and by whose word."""
    own = sum(end.encryption.own for end in ends)
    if own == len(ends):
        return say("mesh-tls" if author is None else "mesh-tls-ruled")
    if own:
        return say("mesh-tls-some", own=own, count=len(ends))
    return say("rule-tls" if any(end.encryption.is_tls for end in ends) else "plain-text")
