"""The parts of an answer to `describe` that belong to one kind."""

from collections.abc import Callable, Mapping, Sequence

from meshwright.model.destination_rule import DestinationRule
from meshwright.model.gateway import Gateway
from meshwright.model.hosts import covers
from meshwright.model.names import ProxyName
from meshwright.model.origin import ObjectRef
from meshwright.model.peer_authentication import PeerAuthentication
from meshwright.model.place import is_chosen
from meshwright.model.planned_pod import PlannedPod, PodStatus
from meshwright.model.service import Service
from meshwright.model.virtual_service import MESH_GATEWAY, VirtualService
from meshwright.model.workload import Workload
from meshwright.wiring.describe_view import Json, View
from meshwright.wiring.describe_words import http_words, policy_words, stream_words

ChangeOf = Callable[[ProxyName], int | None]


def pod(view: View, planned: PlannedPod, workload: Workload | None, change_of: ChangeOf) -> Json:
    """Containers, identity, mutual TLS, proxy, and the services that lead here."""
    status = view.statuses.get(planned.name)
    return {
        "address": planned.address,
        "owner": planned.owner,
        "identity": planned.identity.uri,
        "role": None if planned.role is None else planned.role.value,
        "phase": None if status is None else status.phase.value,
        "ready": status is not None and status.ready,
        "message": "" if status is None else status.message,
        "containers": _containers(planned, status),
        "mutual_tls": None if workload is None else view.modes(workload),
        "policies": [] if workload is None else [_policy(view, each) for each in view.policies_for(workload)],
        "services": [] if workload is None else [service.host for service in view.services_of(workload)],
        "proxy": None if planned.role is None else view.proxy(planned.name, change_of(planned.name)),
    }


def _containers(planned: PlannedPod, status: PodStatus | None) -> list[Json]:
    images = {each.name: each.image for each in planned.template.all_containers}
    told = {each.name: each for each in (status.containers if status else ())}
    return [
        {
            "name": name,
            "image": images.get(name, ""),
            "ready": name in told and told[name].ready,
            "restarts": told[name].restarts if name in told else 0,
            "reason": told[name].reason if name in told else "",
            "message": told[name].message if name in told else "",
        }
        for name in dict.fromkeys((*images, *told))
    ]


def _policy(view: View, policy: PeerAuthentication) -> Json:
    scope = "workload" if policy.selector else "namespace"
    if not policy.selector and policy.meta.namespace == view.snapshot.settings.root_namespace:
        scope = "mesh"
    ports = [{"port": port, "mode": mode.value} for port, mode in policy.port_modes]
    return {"object": view.ref(policy.meta.ref), "scope": scope, "mode": policy.mode.value, "ports": ports}


def service(view: View, found: Service) -> Json:
    """Ports, endpoints, and every rule that has a say about requests to it."""
    loads = view.endpoints(found)
    rules = [rule for rule in view.snapshot.destination_rules if covers(rule.host, found.host)]
    policies = {each.meta.ref: each for load in loads for each in view.policies_for(load)}
    listed = [{"pod": None, "address": each.address, "ready": True} for each in found.endpoints]
    return {
        "host": found.host,
        "addresses": list(found.addresses),
        "ports": [_port(each.number, each.name, each.protocol.value, each.target) for each in found.ports],
        "selector": dict(found.selector.pairs),
        "endpoints": [
            *({"pod": load.proxy_name, "address": load.address, "ready": load.ready} for load in loads),
            *listed,
        ],
        "mutual_tls": {load.proxy_name: view.modes(load) for load in loads},
        "virtual_services": [_rules(view, each) for each in view.rules_for(found.host)],
        "reached_by": [_rules(view, each) for each in view.rules_to(found.host)],
        "destination_rules": [_destination_rule(view, each) for each in rules],
        "policies": [_policy(view, each) for each in policies.values()],
        "proxies": view.proxies_with_cluster(found),
    }


def _port(number: int, name: str, protocol: str, target: int | str | None) -> Json:
    return {"port": number, "name": name, "protocol": protocol, "target": number if target is None else target}


def _rules(view: View, rule: VirtualService) -> Json:
    ref = rule.meta.ref
    words = [(each.origin.path, http_words(each)) for each in rule.http]
    words += [(each.origin.path, stream_words(each)) for each in (*rule.tcp, *rule.tls)]
    return {
        "object": view.ref(ref),
        "hosts": list(rule.hosts),
        "gateways": list(rule.gateways),
        "routes": [{"words": said, **view.ref(ref, path)} for path, said in words],
    }


def virtual_service(view: View, rule: VirtualService) -> Json:
    """Hosts, gateways, routes in words, and the proxies that run them."""
    known = {service.host for service in view.snapshot.services}
    gateways = [
        gateway
        for gateway in view.snapshot.gateways
        if f"{gateway.meta.namespace}/{gateway.meta.name}" in rule.gateways
    ]
    return {
        **_rules(view, rule),
        "in_the_mesh": MESH_GATEWAY in rule.gateways,
        "gateway_pods": sorted({load.proxy_name for each in gateways for load in view.gateway_pods(each)}),
        "services": sorted(host for host in known if any(covers(each, host) for each in rule.hosts)),
        "proxies": view.proxies_that_run(rule.meta.ref),
    }


def _destination_rule(view: View, rule: DestinationRule) -> Json:
    loads = [
        load
        for service in view.snapshot.services
        if covers(rule.host, service.host)
        for load in view.endpoints(service)
    ]
    ref = rule.meta.ref
    return {
        "object": view.ref(ref),
        "host": rule.host,
        "policy": policy_words(rule.policy),
        "subsets": [
            {
                "name": each.name,
                "labels": dict(each.labels.pairs),
                "policy": policy_words(each.policy),
                "endpoints": sorted(
                    {load.proxy_name for load in loads if is_chosen(load.labels, load.locality, each.labels)}
                ),
                **_line(view, ref, each.origin.path),
            }
            for each in rule.subsets
        ],
        "only_for": dict(rule.workload_selector.pairs),
    }


def _line(view: View, ref: ObjectRef, path: str) -> Json:
    found = view.ref(ref, path)
    return {"path": path, "file": found["file"], "line": found["line"]}


def destination_rule(view: View, rule: DestinationRule) -> Json:
    """The host, its policy and subsets, and the proxies that know a destination it speaks of."""
    services = [each for each in view.snapshot.services if covers(rule.host, each.host)]
    proxies = {name for each in services for name in view.proxies_with_cluster(each)}
    return {
        **_destination_rule(view, rule),
        "services": [each.host for each in services],
        "proxies": sorted(proxies),
    }


def gateway(view: View, found: Gateway) -> Json:
    """Servers, the pods that open them, and the VirtualServices that are bound to it."""
    name = f"{found.meta.namespace}/{found.meta.name}"
    bound = [rule for rule in view.snapshot.virtual_services if name in rule.gateways]
    return {
        "selector": dict(found.selector.pairs),
        "servers": [
            {
                "port": each.port,
                "protocol": each.protocol.value,
                "hosts": [
                    f"{host.namespace}/{host.host}" if host.namespace != "*" else host.host for host in each.hosts
                ],
                "tls": None if each.tls is None else _server_tls(each.tls.mode, each.tls.credential_name),
                "https_redirect": each.tls is not None and each.tls.https_redirect,
                **_line(view, found.meta.ref, each.origin.path),
            }
            for each in found.servers
        ],
        "virtual_services": [_rules(view, each) for each in bound],
        "proxies": [load.proxy_name for load in view.gateway_pods(found)],
    }


def _server_tls(mode: object, credential: str) -> str:
    return " ".join(
        filter(None, [str(getattr(mode, "value", "")), f"with Secret {credential}" if credential else ""])
    )


def peer_authentication(view: View, policy: PeerAuthentication) -> Json:
    """Its mode, and the pods about which it may decide, with the modes that come of it."""
    chosen = [load for load in view.snapshot.workloads if policy in view.policies_for(load)]
    modes: Mapping[str, Json | None] = {load.proxy_name: view.modes(load) for load in chosen}
    names: Sequence[str] = [load.proxy_name for load in chosen if load.has_proxy]
    return {**_policy(view, policy), "mutual_tls": modes, "proxies": names}
