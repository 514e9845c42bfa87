"""`describe` for people: lines out of what the control plane says of one object."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

Json = dict[str, Any]
MILLISECONDS = 1000
WIDTH = 14
MANY = 8


def described(value: Json) -> str:
    """The whole text of one object."""
    parts = PARTS.get(str(value["kind"]), _nothing)
    return "\n".join([*_head(value), *parts(value), *_tail(value)])


def _line(word: str, text: str) -> str:
    return f"{word + ':':{WIDTH}}{text}"


def _block(word: str, lines: Iterable[str]) -> Iterator[str]:
    """A word with lines below it; nothing when there are none."""
    listed = list(lines)
    if listed:
        yield f"{word}:"
        yield from (f"  {line}" for line in listed)


def _place(ref: Json) -> str:
    """` (file:line)`, where that is known."""
    return f" ({ref['file']}:{ref['line']})" if ref.get("file") else ""


def _object(ref: Json) -> str:
    name = f"{ref['namespace']}/{ref['name']}" if ref["namespace"] else str(ref["name"])
    return f"{ref['kind']} {name}{_place(ref)}"


def _pairs(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in labels.items()) or "(none)"


def _some(names: Sequence[str]) -> str:
    rest = len(names) - MANY
    return ", ".join(names[:MANY]) + (f" and {rest} more" if rest > 0 else "")


def _head(value: Json) -> Iterator[str]:
    yield _line("Name", f"{value['name']}{_place(value['object'])}")
    if value["namespace"]:
        yield _line("Namespace", value["namespace"])
    yield _line("Kind", value["kind"])
    if value["labels"]:
        yield _line("Labels", _pairs(value["labels"]))
    if value["created"]:
        yield _line("Created", value["created"])


def _tail(value: Json) -> Iterator[str]:
    yield from _proxies(value)
    yield from _block("Conditions", (_condition(each) for each in value["conditions"]))
    yield from _block("Findings", value["findings"])
    yield from _block("Last changes", (_change(each) for each in value["changes"]))


def _condition(condition: Json) -> str:
    text = f": {condition['message']}" if condition.get("message") else ""
    reason = f" ({condition['reason']})" if condition.get("reason") else ""
    return f"{condition['type']} {condition['status']}{reason}{text}"


def _change(change: Json) -> str:
    when = datetime.fromtimestamp(change["time"] / MILLISECONDS, UTC).strftime("%Y-%m-%d %H:%M:%S")
    how = {None: "", True: ", live", False: ", not live yet"}[change["live"]]
    away = f" (away: {_some(change['absent'])})" if change["absent"] else ""
    waiting = f"; waiting for {_some(change['waiting'])}" if change["waiting"] else ""
    return f"{change['number']:>4}  {when}  {change['author']}, {change['message']}{how}{waiting}{away}"


def _proxies(value: Json) -> Iterator[str]:
    """Who runs it; those who do not run the newest of everything are named with the reason."""
    proxies = cast("list[Json]", value["proxies"])
    if not proxies:
        return
    fine = [str(each["name"]) for each in proxies if each["synced"] and not each["refused"]]
    word = "Known at" if value["kind"] in ("Service", "ServiceEntry") else "Runs at"
    yield _line(word, f"{len(fine)} of {len(proxies)} proxies: {_some(fine)}" if fine else "no proxy yet")
    for each in proxies:
        if each["refused"]:
            yield f"  {each['name']} refuses {', '.join(each['refused'])}: {' '.join(each['complaints'][-1:])}"
        elif not each["connected"]:
            yield f"  {each['name']} is away"
        elif not each["synced"]:
            yield f"  {each['name']} does not run the newest configuration yet"


# ------------------------------------------------------------ kinds


def _nothing(value: Json) -> Iterator[str]:
    del value
    yield from ()


def _pod(value: Json) -> Iterator[str]:
    if "identity" not in value:
        return
    ready = "ready" if value["ready"] else "not ready"
    message = f" ({value['message']})" if value["message"] else ""
    yield _line("Status", f"{value['phase'] or 'Unknown'}, {ready}{message}")
    yield _line("Address", value["address"])
    yield _line("Identity", value["identity"])
    yield from _block("Containers", (_container(each) for each in value["containers"]))
    yield _line("Services", _some(value["services"]) or "(none selects it)")
    yield from _modes(value["mutual_tls"])
    yield from _policies(value)
    yield from _proxy(value["proxy"], value["role"])


def _container(container: Json) -> str:
    image = f" ({container['image']})" if container["image"] else ""
    ready = "ready" if container["ready"] else "not ready"
    message = f": {container['message']}" if container["message"] else ""
    return f"{container['name']}{image}: {container['reason']}, {ready}, {container['restarts']} restarts{message}"


def _modes(modes: Json | None) -> Iterator[str]:
    if modes is None:
        yield _line("Mutual TLS", "no proxy: what comes in is not protected")
        return
    ports = [f"{each['port']} ({each['protocol']}) {each['mode']}" for each in modes["ports"]]
    yield _line("Mutual TLS", ", ".join([*ports, f"other ports {modes['other_ports']}"]))


def _policies(value: Json) -> Iterator[str]:
    """The PeerAuthentications that have a say."""
    for each in cast("list[Json]", value["policies"]):
        ports = "".join(f", port {port['port']} {port['mode']}" for port in each["ports"])
        yield f"  {each['mode']}{ports} says {_object(each['object'])} for the {each['scope']}"


def _proxy(proxy: Json | None, role: str | None) -> Iterator[str]:
    if proxy is None:
        yield _line("Proxy", "none")
        return
    state = "connected" if proxy["connected"] else "not connected"
    synced = "synced" if proxy["synced"] else "not synced"
    change = f", runs change {proxy['change']}" if proxy["change"] is not None else ""
    yield _line("Proxy", f"{role}, {state}, {synced}{change}")
    for name in proxy["refused"]:
        yield f"  refuses {name}: {' '.join(proxy['complaints'][-1:])}"


def _service(value: Json) -> Iterator[str]:
    for each in cast("list[Json]", value.get("hosts") or [value]):
        if "host" in each:
            yield from _one_service(each)


def _one_service(value: Json) -> Iterator[str]:
    yield _line("Host", value["host"])
    yield _line("Addresses", ", ".join(value["addresses"]) or "(none)")
    if value["selector"]:
        yield _line("Selector", _pairs(value["selector"]))
    yield from _block(
        "Ports", (f"{each['port']} {each['name']} {each['protocol']} -> {each['target']}" for each in value["ports"])
    )
    yield from _block("Endpoints", (_endpoint(each, value["mutual_tls"]) for each in value["endpoints"]))
    yield from _policies(value)
    if not value["endpoints"]:
        yield _line("Endpoints", "none: requests to it fail")
    yield from _routing(value["virtual_services"], "Routed by")
    yield from _routing(value["reached_by"], "Reached from")
    for each in cast("list[Json]", value["destination_rules"]):
        yield from _block(f"Spoken to by {_object(each['object'])}", _policy_and_subsets(each))


def _endpoint(endpoint: Json, modes: Mapping[str, Json | None]) -> str:
    ready = "ready" if endpoint["ready"] else "not ready: gets no requests"
    if endpoint["pod"] is None:
        return f"{endpoint['address']}, {ready}"
    known = modes.get(endpoint["pod"])
    ports = ", ".join(f"{each['port']} {each['mode']}" for each in known["ports"]) if known else ""
    tls = f"mutual TLS {ports or (known or {}).get('other_ports', '')}" if known else "no proxy"
    return f"{endpoint['address']} {endpoint['pod']}, {ready}, {tls}"


def _routing(rules: Iterable[Json], word: str) -> Iterator[str]:
    for each in rules:
        at = f" at {', '.join(each['gateways'])}" if each["gateways"] != ["mesh"] else ""
        yield from _block(f"{word} {_object(each['object'])}{at}", _routes(each))


def _routes(rule: Json) -> Iterator[str]:
    for number, each in enumerate(cast("list[Json]", rule["routes"]), start=1):
        yield f"{number}. {each['words']}  [{each['path']}{_place(each)}]"


def _policy_and_subsets(rule: Json) -> Iterator[str]:
    if rule["only_for"]:
        yield f"only for clients with {_pairs(rule['only_for'])}"
    yield from rule["policy"]
    for each in cast("list[Json]", rule["subsets"]):
        own = f"; {'; '.join(each['policy'])}" if each["policy"] else ""
        pods = _some(each["endpoints"]) or "no endpoint: requests to it fail"
        yield f"subset {each['name']} ({_pairs(each['labels'])}){own}: {pods}  [{each['path']}{_place(each)}]"


def _virtual_service(value: Json) -> Iterator[str]:
    if "routes" not in value:
        return
    yield _line("Hosts", ", ".join(value["hosts"]))
    yield _line(
        "Gateways", ", ".join("mesh (every sidecar)" if each == "mesh" else each for each in value["gateways"])
    )
    if value["gateway_pods"]:
        yield _line("Gateway pods", _some(value["gateway_pods"]))
    yield from _block("Routes", _routes(value))
    if not value["proxies"]:
        yield _line("Runs at", "no proxy: nothing asks for these hosts, or the object has no effect")


def _destination_rule(value: Json) -> Iterator[str]:
    if "host" not in value:
        return
    yield _line("Host", value["host"])
    yield _line("Services", _some(value["services"]) or "no service has this host")
    yield from _block("Policy", _policy_and_subsets({**value, "subsets": []}))
    yield from _block("Subsets", _policy_and_subsets({**value, "policy": [], "only_for": {}}))


def _gateway(value: Json) -> Iterator[str]:
    if "servers" not in value:
        return
    yield _line("Selector", _pairs(value["selector"]))
    yield from _block("Servers", (_server(each) for each in value["servers"]))
    yield from _routing(value["virtual_services"], "Serves")
    if not value["virtual_services"]:
        yield _line("Serves", "no VirtualService is bound to it: every request gets 404")
    if not value["proxies"]:
        yield _line("Runs at", "no gateway pod has these labels")


def _server(server: Json) -> str:
    tls = f", TLS {server['tls']}" if server["tls"] else ""
    redirect = ", plain requests are redirected to https" if server["https_redirect"] else ""
    return f"port {server['port']} {server['protocol']}{tls}{redirect}: {', '.join(server['hosts'])}"


def _peer_authentication(value: Json) -> Iterator[str]:
    if "scope" not in value:
        return
    ports = "".join(f", port {each['port']} {each['mode']}" for each in value["ports"])
    yield _line("Mode", f"{value['mode']}{ports}, for the {value['scope']}")
    yield from _block("Comes to", (_outcome(name, modes) for name, modes in value["mutual_tls"].items()))


def _outcome(pod: str, modes: Json | None) -> str:
    if modes is None:
        return f"{pod}: no proxy, so it changes nothing"
    ports = [f"{each['port']} {each['mode']}" for each in modes["ports"]]
    return f"{pod}: {', '.join([*ports, 'other ports ' + str(modes['other_ports'])])}"


PARTS = {
    "Pod": _pod,
    "Service": _service,
    "ServiceEntry": _service,
    "VirtualService": _virtual_service,
    "DestinationRule": _destination_rule,
    "Gateway": _gateway,
    "PeerAuthentication": _peer_authentication,
}
