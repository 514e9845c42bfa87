"""A question in a user's words becomes a call for the evaluator, and its answer values for JSON.

The same for a living mesh (what it has published, with the pods as they are) and for documents alone.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

from meshwright.documents.lines import Lines
from meshwright.evaluator.evaluate import evaluate
from meshwright.evaluator.sentences import say
from meshwright.evaluator.values import Answer, Application, Call, MeshView, Outcome, PodView, Step, Verdict
from meshwright.model.names import PortNumber, ProxyName
from meshwright.model.origin import Origin
from meshwright.model.proxy import Proxy, Role
from meshwright.model.published import Published
from meshwright.model.sentence import Sentence
from meshwright.model.snapshot import Snapshot
from meshwright.model.workload import Identity, Workload
from meshwright.wiring.dns_names import dns_table
from meshwright.wiring.sentences import REFUSALS
from meshwright.wiring.service_addresses import service_table

OUTSIDE = "outside"
SHOWN_PODS = 20
PORTS: Mapping[str, int] = {"http": 80, "https": 443, "grpc": 80}
ODD = re.compile(r"[\x00-\x20\x7f]")
METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, token
SCHEMES = ("http", "https", "grpc", "tcp", "tls")
PLACE_PARTS = ("deploy/", "deployment/", "deployments/", "pod/", "pods/", "po/")


class QuestionError(ValueError):
    """The question cannot be asked as it is; the text says what to write instead. `said`: the same as a sentence, of
    those that a page may meet.
    """

    def __init__(self, words: Sentence | str) -> None:
        super().__init__(str(words))
        self.said = words if isinstance(words, Sentence) else None


@dataclass(frozen=True, slots=True)
class Question:
    """`caller` is POD.NS, deploy/NAME[.NS] or outside; `url` has a scheme of SCHEMES."""

    caller: str
    url: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    namespace: str = "default"


@dataclass(frozen=True, slots=True)
class Explainable:
    """A mesh that can be asked. `forwards`: ports of the host that lead to listeners of gateways."""

    snapshot: Snapshot
    published: Published
    lines: Lines = field(default_factory=Lines)
    forwards: Mapping[int, int] = field(default_factory=dict[int, int])


def explain(mesh: Explainable, question: Question) -> dict[str, Any]:
    """The contract of `explain -o json`, without `change`; beside it `from`, the pod that was meant.

    Raises QuestionError.
    """
    target = _target(question.url)
    if not METHOD.fullmatch(question.method):
        raise QuestionError(REFUSALS.say("no-method", method=repr(question.method)))
    view = _view(mesh)
    if question.caller == OUTSIDE:
        caller, answer = _from_outside(mesh, view, question, target)
    else:
        load = _workload(mesh.snapshot.workloads, question.caller, question.namespace)
        address = _address(mesh, target.hostname or "", load.meta.namespace)
        call = _call(question, target, target.port or PORTS.get(target.scheme, 0), address)
        caller, answer = load.proxy_name, _asked(view, load, call)
        if not address:
            first = _unknown_name(mesh, target.hostname or "", load.meta.namespace)
        else:
            first = _unknown_port(mesh.snapshot, address, call.port)
        if first is not None:
            answer = replace(answer, steps=(first, *answer.steps))
    return {"from": caller, "to": question.url, "method": question.method, **_as_json(answer, mesh.lines)}


def _unknown_name(mesh: Explainable, host: str, namespace: str) -> Step:
    """A name that is looked up outside: another name of a host outside, or one that nobody has, with the service
    that may have been meant.
    """
    domain = mesh.snapshot.settings.cluster_domain
    forms = {f"{host.rstrip('.').lower()}{end}" for end in ("", f".{namespace}.svc.{domain}", f".svc.{domain}")}
    alias = next((each for each in mesh.snapshot.services if each.alias_of and each.host in forms), None)
    if alias is not None:
        why = say("alias", host=str(alias.alias_of))
        return Step("name", host, Verdict.APPLIED, why, alias.meta.origin)
    names = {service.meta.name: service.host for service in mesh.snapshot.services}
    near = get_close_matches(host.partition(".")[0], names, n=1)
    why = say("unknown-name-near", near=near[0]) if near else say("unknown-name")
    return Step("name", host, Verdict.MISSING if near else Verdict.APPLIED, why)


def _unknown_port(snapshot: Snapshot, address: str, port: int) -> Step | None:
    """A port that the service of this address does not have, which is what a forgotten one becomes (80)."""
    found = [service for service in snapshot.services if address in service.addresses and service.alias_of is None]
    ports = sorted({each.number for service in found for each in service.ports})
    if not ports or port in ports:
        return None
    why = say("unknown-port", host=found[0].host, port=port, ports=tuple(map(str, ports)))
    return Step("port", str(port), Verdict.MISSING, why, found[0].meta.origin)


def _asked(view: MeshView, load: Workload, call: Call) -> Answer:
    return evaluate(view, load.proxy_name if load.proxy_name in view.published.proxies else None, call)


# ------------------------------------------------------------ the question


def _target(url: str) -> SplitResult:
    try:
        target = urlsplit(url if "://" in url else f"http://{url}")
        port = target.port
    except ValueError as error:
        raise QuestionError(f"--to {url}: {error}") from None
    if target.scheme not in SCHEMES or not target.hostname:
        raise QuestionError(REFUSALS.say("no-url", url=url))
    if ":" in target.hostname:
        raise QuestionError(REFUSALS.say("no-ipv6", url=url))
    if odd := ODD.search(url):
        instead = f"%{ord(odd[0]):02X}"
        raise QuestionError(REFUSALS.say("odd-in-url", url=url, odd=repr(odd[0]), instead=instead))
    if target.scheme in ("tcp", "tls") and port is None:
        raise QuestionError(f"--to {url} lacks a port: write for example {target.scheme}://{target.hostname}:3306")
    return target


def _call(question: Question, target: SplitResult, port: int, address: str, *, ended: bool = False) -> Call:
    """`ended`: a gateway may end the caller's TLS, so what is inside counts."""
    scheme, host = target.scheme, target.hostname or ""
    usual = PORTS.get(scheme) == (target.port or PORTS.get(scheme))
    given = [(name.lower(), value) for name, value in question.headers]
    named = next((value for name, value in given if name in ("host", ":authority")), "")
    application = {
        "grpc": Application.HTTP2,
        "tcp": Application.STREAM,
        "tls": Application.TLS,
        "https": Application.HTTP1 if ended else Application.TLS,
    }.get(scheme, Application.HTTP1)
    headers = [(name, value) for name, value in given if name not in ("host", ":authority")]
    if scheme == "grpc":
        headers.append(("content-type", "application/grpc"))
    return Call(
        host=named or (host if usual else f"{host}:{target.port}"),
        port=PortNumber(port),
        address=address,
        application=application,
        method="POST" if scheme == "grpc" else question.method.upper(),
        path=(target.path or "/") + (f"?{target.query}" if target.query else ""),
        headers=tuple(headers),
        encrypted=ended and scheme == "https",
    )


def _workload(workloads: Iterable[Workload], words: str, namespace: str) -> Workload:
    """A pod by POD.NS, or the first ready pod of a Deployment."""
    known = tuple(workloads)
    place = next((part for part in PLACE_PARTS if words.startswith(part)), "")
    name, _, space = words.removeprefix(place).partition(".")
    space = space or namespace
    exact = [each for each in known if each.proxy_name == f"{name}.{space}" and not place.startswith("d")]
    owned = [each for each in known if (each.owner, each.meta.namespace) == (name, space)]
    found = exact or sorted(owned, key=lambda each: (not each.ready, each.proxy_name))
    if not found:
        raise QuestionError(f"--from {words}: {_no_pod(name, space, known)}")
    return found[0]


def _no_pod(name: str, namespace: str, known: Iterable[Workload]) -> str:
    """What to write instead, of those that are there; not all of a large mesh."""
    here = {f"{each.owner}.{each.meta.namespace}" for each in known}
    if not here:
        return "no pods are known (no Pod, Deployment or StatefulSet was read); only outside can be asked from"
    near = get_close_matches(f"{name}.{namespace}", here, n=1)
    meant = f" (did you mean {near[0]}?)" if near else ""
    shown = sorted(here)[:SHOWN_PODS]
    more = f" and {len(here) - len(shown)} more" if len(here) > len(shown) else ""
    return f"there is no such pod in namespace {namespace}{meant}; there are {', '.join(shown)}{more}, and outside"


def _address(mesh: Explainable, host: str, namespace: str) -> str:
    """What a pod of the namespace connects to for a name; "" when the mesh does not know the name."""
    try:
        return str(ip_address(host))
    except ValueError:
        pass
    domain = mesh.snapshot.settings.cluster_domain
    names = dict(dns_table(mesh.snapshot.services, ()))
    for ending in ("", f".{namespace}.svc.{domain}", f".svc.{domain}", f".{domain}"):
        found = names.get(f"{host.rstrip('.').lower()}{ending}")
        if found:
            return found[0]
    headless = _headless(mesh.snapshot, host, namespace, domain)
    return headless or ""


def _headless(snapshot: Snapshot, host: str, namespace: str, domain: str) -> str:
    """The address of one ready pod of a headless service."""
    for service in snapshot.services:
        if service.headless and service.host in (host, f"{host}.{namespace}.svc.{domain}", f"{host}.svc.{domain}"):
            space = service.meta.namespace
            pods = [load for load in snapshot.workloads if load.meta.namespace == space and service.selector]
            ready = [load.address for load in pods if load.ready and load.labels.includes(service.selector)]
            return min(ready, default="")
    return ""


# ------------------------------------------------------------ from outside


def _from_outside(
    mesh: Explainable, view: MeshView, question: Question, target: SplitResult
) -> tuple[ProxyName, Answer]:
    """Every gateway that takes the port is asked; the first one that serves the host has it."""
    port = target.port or PORTS.get(target.scheme, 0)
    gateways = [proxy for proxy in mesh.snapshot.proxies if proxy.role is Role.ROUTER]
    if not gateways:
        raise QuestionError(REFUSALS.say("no-gateway"))
    answers: list[tuple[ProxyName, Answer]] = []
    for proxy in sorted(gateways, key=lambda each: (not each.workload.ready, each.name)):
        listener = _listener_port(mesh, proxy, port)
        call = _call(question, target, listener, "", ended=True)
        answers.append((proxy.name, evaluate(view, proxy.name, call)))
    served = [each for each in answers if each[1].outcome is not Outcome.FAIL or each[1].destinations]
    return (served or sorted(answers, key=lambda each: -len(each[1].steps)))[0]


def _listener_port(mesh: Explainable, proxy: Proxy, port: int) -> int:
    """A port of the host, of a Service of the gateway, or of the gateway itself."""
    if port in mesh.forwards:
        return mesh.forwards[port]
    load = proxy.workload
    for service in mesh.snapshot.services:
        mine = service.meta.namespace == load.meta.namespace and bool(service.selector)
        if mine and load.labels.includes(service.selector):
            for each in service.ports:
                if each.number == port and isinstance(each.target, int):
                    return each.target
    return port


# ------------------------------------------------------------ the mesh


def _view(mesh: Explainable) -> MeshView:
    domain = mesh.snapshot.settings.trust_domain
    pods = {load.address: _pod(load, domain) for load in mesh.snapshot.workloads if load.address}
    return MeshView(mesh.published, pods, dict(service_table(mesh.snapshot)))


def _pod(load: Workload, trust_domain: str) -> PodView:
    identity = Identity(trust_domain, load.meta.namespace, load.service_account)
    return PodView(load.proxy_name, identity.uri, load.has_proxy)


# ------------------------------------------------------------ the answer


def _as_json(answer: Answer, lines: Lines) -> dict[str, Any]:
    return {
        "outcome": answer.outcome.value,
        "status": answer.status,
        "destinations": [
            {
                "cluster": each.cluster,
                "host": each.host,
                "subset": each.subset or None,
                "port": each.port,
                "weight": each.weight,
                "endpoints": list(each.endpoints),
                "encryption": each.encryption or None,
                "problem": each.problem or None,
                "status": each.status,
            }
            for each in answer.destinations
        ],
        "timeout_ms": answer.timeout_ms,
        "retries": answer.retries,
        "mirrors": [{"cluster": each.cluster, "percentage": each.percentage} for each in answer.mirrors],
        "faults": [
            {
                "type": each.type,
                "percentage": each.percentage,
                "delay_ms": each.delay_ms,
                "status": each.status,
                "grpc_status": each.grpc_status,
            }
            for each in answer.faults
        ],
        "rewrite": None
        if answer.rewrite is None
        else {"path": answer.rewrite.path or None, "host": answer.rewrite.host or None},
        "steps": [_step(each, lines) for each in answer.steps],
    }


def _step(step: Step, lines: Lines) -> dict[str, Any]:
    return {
        "stage": step.stage,
        "name": step.name,
        "verdict": step.verdict.value,
        "why": str(step.why),
        "said": step.why.as_json(),
        "origin": None if step.origin is None else _origin(step.origin, lines),
    }


def _origin(origin: Origin, lines: Lines) -> dict[str, Any]:
    place, ref = lines.find(origin), origin.object
    return {
        "kind": ref.kind,
        "namespace": ref.namespace,
        "name": ref.name,
        "path": origin.path,
        "file": None if place is None else place.file,
        "line": None if place is None else place.line,
    }
