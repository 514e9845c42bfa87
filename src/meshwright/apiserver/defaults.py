"""Fields that Kubernetes fills in when a writer leaves them out, as far as clients and controllers rely on them."""

import base64
from collections.abc import Callable, Mapping
from typing import Any

from meshwright.apiserver.values import Json, is_map, list_of, map_of, metadata_of

_POD: Json = {
    "restartPolicy": "Always",
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
    "terminationGracePeriodSeconds": 30,
    "securityContext": {},
}
_CONTAINER: Json = {"resources": {}, "terminationMessagePath": "/dev/termination-log"}
_CHOSEN = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy")
_ROLLING: Json = {"maxSurge": "25%", "maxUnavailable": "25%"}


def with_defaults(value: Json, kind: str) -> Json:
    """The object with its kind's defaults; what the writer said stays."""
    fill = _KINDS.get(kind)
    return fill(value) if fill is not None else value


def at_first(value: Json, kind: str) -> Json:
    """The same for fields that only a new object gets."""
    if kind == "Pod" and is_map(value.get("spec")):
        return {**value, "spec": _filled(value["spec"], {"serviceAccountName": "default"})}
    return value


def carried(before: Json, value: Json, kind: str) -> Json:
    """What the server chose once and a writer left out stays: the address of a Service."""
    if kind != "Service" or not is_map(value.get("spec")) or value["spec"].get("type") == "ExternalName":
        return value
    had = map_of(before.get("spec"))
    kept = {name: had[name] for name in _CHOSEN if name in had}
    return {**value, "spec": _filled(value["spec"], kept)}


def _filled(value: object, defaults: Mapping[str, Any]) -> Json:
    said = {name: item for name, item in map_of(value).items() if item is not None}
    return {**defaults, **said}


def _namespace(value: Json) -> Json:
    metadata = metadata_of(value)
    labels = _filled(metadata.get("labels"), {})
    labels["kubernetes.io/metadata.name"] = str(metadata.get("name") or "")
    return {**value, "metadata": {**metadata, "labels": labels}}


def _service(value: Json) -> Json:
    if not is_map(value.get("spec")):
        return value
    spec = _filled(value["spec"], {"type": "ClusterIP", "sessionAffinity": "None"})
    if spec.get("ports"):
        spec["ports"] = [_service_port(port) if is_map(port) else port for port in list_of(spec["ports"])]
    return {**value, "spec": spec}


def _service_port(port: Json) -> Json:
    made = _filled(port, {"protocol": "TCP"})
    if "targetPort" not in made and "port" in made:
        made["targetPort"] = made["port"]
    return made


def _pod_spec(spec: object) -> Json:
    made = _filled(spec, _POD)
    for field in ("containers", "initContainers"):
        if made.get(field):
            made[field] = [_container(item) if is_map(item) else item for item in list_of(made[field])]
    return made


def _container(container: Json) -> Json:
    made = _filled(container, _CONTAINER)
    if made.get("ports"):
        made["ports"] = [
            _filled(port, {"protocol": "TCP"}) if is_map(port) else port for port in list_of(made["ports"])
        ]
    return made


def _pod(value: Json) -> Json:
    return {**value, "spec": _pod_spec(value["spec"])} if is_map(value.get("spec")) else value


def _template(spec: Json) -> Json:
    template = spec.get("template")
    if not is_map(template) or not is_map(template.get("spec")):
        return spec
    return {**spec, "template": {**template, "spec": _pod_spec(template["spec"])}}


def _workload(defaults: Mapping[str, Any]) -> Callable[[Json], Json]:
    def fill(value: Json) -> Json:
        if not is_map(value.get("spec")):
            return value
        return {**value, "spec": _template(_filled(value["spec"], defaults))}

    return fill


def _deployment(value: Json) -> Json:
    made = _workload({"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600})(value)
    if not is_map(made.get("spec")):
        return made
    strategy = _filled(made["spec"].get("strategy"), {"type": "RollingUpdate"})
    if strategy["type"] == "RollingUpdate":
        strategy["rollingUpdate"] = _filled(strategy.get("rollingUpdate"), _ROLLING)
    return {**made, "spec": {**made["spec"], "strategy": strategy}}


def _stateful_set(value: Json) -> Json:
    made = _workload({"replicas": 1, "podManagementPolicy": "OrderedReady", "revisionHistoryLimit": 10})(value)
    if not is_map(made.get("spec")):
        return made
    strategy = _filled(made["spec"].get("updateStrategy"), {"type": "RollingUpdate"})
    if strategy["type"] == "RollingUpdate":
        strategy["rollingUpdate"] = _filled(strategy.get("rollingUpdate"), {"partition": 0})
    return {**made, "spec": {**made["spec"], "updateStrategy": strategy}}


def _secret(value: Json) -> Json:
    """`stringData` is only ever written; it is kept encoded, in `data`."""
    plain = value.get("stringData")
    made = _filled({name: item for name, item in value.items() if name != "stringData"}, {"type": "Opaque"})
    if not is_map(plain):
        return made if plain is None else {**made, "stringData": plain}
    texts = {name: item for name, item in plain.items() if isinstance(item, str)}
    encoded = {name: base64.b64encode(item.encode()).decode() for name, item in texts.items()}
    rest = {name: item for name, item in plain.items() if name not in texts and item is not None}
    if encoded:
        made["data"] = {**map_of(made.get("data")), **encoded}
    return {**made, "stringData": rest} if rest else made


_KINDS: Mapping[str, Callable[[Json], Json]] = {
    "Namespace": _namespace,
    "Service": _service,
    "Pod": _pod,
    "Deployment": _deployment,
    "ReplicaSet": _workload({"replicas": 1}),
    "StatefulSet": _stateful_set,
    "Secret": _secret,
}
