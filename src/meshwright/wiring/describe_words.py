"""Rules in words, for people: what is matched, and what becomes of it."""

from collections.abc import Iterable, Iterator

from meshwright.model.destination import Destination
from meshwright.model.destination_rule import PortPolicy, TrafficPolicy
from meshwright.model.fault import Fault, HttpAbort
from meshwright.model.names import Milliseconds
from meshwright.model.redirect import Redirect
from meshwright.model.request_match import RequestMatch
from meshwright.model.string_match import MatchType, StringMatch
from meshwright.model.virtual_service import HttpRule, StreamMatch, StreamRule, WeightedDestination

WHOLE = 1_000_000
SECOND = 1000


def http_words(rule: HttpRule) -> str:
    """One entry of spec.http: `requests with path /v2*: 90% to reviews subset v1, ...; timeout 2s`."""
    matched = _either("requests", [_match(each) for each in rule.matches])
    return f"{matched}: {'; '.join([_action(rule), *_extras(rule)])}"


def stream_words(rule: StreamRule) -> str:
    """One entry of spec.tcp or spec.tls."""
    matched = _either("connections", [_stream_match(each) for each in rule.matches])
    return f"{matched}: {_destinations(rule.route)}"


def policy_words(policy: TrafficPolicy | PortPolicy | None) -> list[str]:
    """The parts of a traffic policy that are set."""
    if policy is None:
        return []
    found: list[str] = []
    if (tls := policy.tls) is not None:
        found.append(f"TLS {tls.mode.value}")
    if (balancing := policy.load_balancing) is not None:
        how = "CONSISTENT_HASH" if balancing.consistent_hash is not None else balancing.simple.value
        found.append(f"load balancing {how}")
    if (pool := policy.connection_pool) is not None:
        found.append(f"connection pool: {', '.join(_set_fields(pool)) or 'defaults'}")
    if (outlier := policy.outlier_detection) is not None:
        found.append(f"outlier detection: {', '.join(_set_fields(outlier)) or 'defaults'}")
    ports = policy.ports if isinstance(policy, TrafficPolicy) else ()
    found += [f"port {port.port}: {', '.join(policy_words(port)) or 'defaults'}" for port in ports]
    return found


def destination_words(destination: Destination) -> str:
    """`reviews.default.svc.cluster.local subset v1 port 9080`."""
    subset = f" subset {destination.subset}" if destination.subset else ""
    port = f" port {destination.port}" if destination.port else ""
    return f"{destination.host}{subset}{port}"


def time_words(length: Milliseconds | int) -> str:
    """`2s`, or `150ms`."""
    return f"{length // SECOND}s" if length % SECOND == 0 else f"{length}ms"


def _set_fields(block: object) -> Iterator[str]:
    """Fields that the user set, by name and value."""
    for name in getattr(block, "__dataclass_fields__", {}):
        value = getattr(block, name)
        if isinstance(value, int) and value is not False:
            yield name if value is True else f"{name} {value}"


def _either(what: str, matches: list[str]) -> str:
    """`requests with path /a, or with path /b`; an empty match takes all."""
    return f"{what} {', or '.join(f'with {each}' for each in matches)}" if matches and all(matches) else f"all {what}"


def _match(match: RequestMatch) -> str:
    parts = [
        f"{word} {_string(value)}"
        for word, value in (
            ("path", match.uri),
            ("scheme", match.scheme),
            ("method", match.method),
            ("authority", match.authority),
        )
        if value is not None
    ]
    parts += [f"header {name} {_string(value)}" for name, value in match.headers]
    parts += [f"no header {name} {_string(value)}".rstrip() for name, value in match.without_headers]
    parts += [f"parameter {name} {_string(value)}" for name, value in match.query_params]
    parts += _scope(match.port, match.source_labels.pairs, match.source_namespace, match.gateways)
    return ", ".join(parts)


def _stream_match(match: StreamMatch) -> str:
    parts = [f"SNI {', '.join(match.sni_hosts)}"] if match.sni_hosts else []
    parts += [f"to {', '.join(match.destination_subnets)}"] if match.destination_subnets else []
    parts += _scope(match.port, match.source_labels.pairs, match.source_namespace, match.gateways)
    return ", ".join(parts)


def _scope(
    port: int | None, labels: Iterable[tuple[str, str]], namespace: str | None, gateways: tuple[str, ...] | None
) -> list[str]:
    """Conditions that decide which proxies have the rule at all."""
    found = [f"port {port}"] if port else []
    found += [f"from pods labelled {key}={value}" for key, value in labels]
    found += [f"from namespace {namespace}"] if namespace else []
    found += [f"at {', '.join(gateways)}"] if gateways else []
    return found


def _string(value: StringMatch) -> str:
    if value.type is MatchType.PRESENT:
        return "(any value)"
    if value.type is MatchType.PREFIX:
        return f"{value.value}*"
    return f"~ {value.value}" if value.type is MatchType.REGEX else value.value


def _action(rule: HttpRule) -> str:
    if rule.redirect is not None:
        return _redirect(rule.redirect)
    if rule.direct_response is not None:
        return f"answered with {rule.direct_response.status}"
    return _destinations(rule.route)


def _redirect(redirect: Redirect) -> str:
    scheme = f"{redirect.scheme}://" if redirect.scheme else ""
    port = f":{redirect.port}" if redirect.port else ""
    path = redirect.uri or redirect.prefix_rewrite or ""
    return f"redirected ({redirect.code}) to {scheme}{redirect.authority or ''}{port}{path}"


def _destinations(route: tuple[WeightedDestination, ...]) -> str:
    if len(route) == 1:
        return f"to {destination_words(route[0].destination)}"
    total = sum(each.weight for each in route) or 1
    return ", ".join(f"{each.weight * 100 / total:g}% to {destination_words(each.destination)}" for each in route)


def _extras(rule: HttpRule) -> Iterator[str]:
    if rule.fault is not None:
        yield from _fault(rule.fault)
    if rule.rewrite is not None:
        yield "path or authority rewritten"
    if rule.timeout is not None:
        yield f"timeout {time_words(rule.timeout)}"
    if rule.retry is not None:
        per_try = f", {time_words(rule.retry.per_try_timeout)} each" if rule.retry.per_try_timeout else ""
        yield f"retries {rule.retry.attempts}{per_try}"
    for mirror in rule.mirrors:
        yield f"{mirror.share * 100 / WHOLE:g}% mirrored to {destination_words(mirror.destination)}"
    if rule.headers.request != rule.headers.response or any(
        (rule.headers.request.set, rule.headers.request.add, rule.headers.request.remove)
    ):
        yield "headers changed"


def _fault(fault: Fault) -> Iterator[str]:
    if (delay := fault.delay) is not None:
        yield f"{delay.share * 100 / WHOLE:g}% delayed by {time_words(delay.fixed)}"
    if (abort := fault.abort) is not None:
        kind = "" if isinstance(abort, HttpAbort) else "gRPC "
        yield f"{abort.share * 100 / WHOLE:g}% aborted with {kind}{abort.status}"
