"""Small meshes for compiler tests, made of model values."""

from meshwright.model.labels import Labels
from meshwright.model.meta import Meta
from meshwright.model.names import Hostname, PortNumber
from meshwright.model.origin import ObjectRef, Origin
from meshwright.model.protocol import Protocol
from meshwright.model.proxy import Interception, Proxy, Role
from meshwright.model.service import Service, ServicePort
from meshwright.model.workload import ContainerPort, Workload

NAMESPACE = "default"


def meta(
    kind: str, name: str, namespace: str = NAMESPACE, *, created: str = "", labels: Labels | None = None
) -> Meta:
    return Meta(ObjectRef(kind, namespace, name), created, labels or Labels())


def host(name: str, namespace: str = NAMESPACE) -> Hostname:
    return Hostname(f"{name}.{namespace}.svc.cluster.local")


def service(
    name: str,
    *ports: tuple[int, Protocol],
    namespace: str = NAMESPACE,
    address: str = "",
    target: int | None = None,
) -> Service:
    """A ClusterIP service that selects app=<name>."""
    origin = Origin(ObjectRef("Service", namespace, name)).field("spec").field("ports")
    return Service(
        meta=meta("Service", name, namespace),
        host=host(name, namespace),
        ports=tuple(
            ServicePort(
                PortNumber(number), f"{protocol.value.lower()}-{number}", protocol, origin.item(index), target
            )
            for index, (number, protocol) in enumerate(ports or ((9080, Protocol.HTTP),))
        ),
        addresses=(address,) if address else (),
        selector=Labels.of({"app": name}),
    )


def workload(
    app: str, address: str, version: str = "v1", *, namespace: str = NAMESPACE, gateway: bool = False
) -> Workload:
    labels = {"app": app, "version": version}
    if gateway:
        labels["istio"] = "ingressgateway"
    return Workload(
        meta=meta("Pod", f"{app}-{version}", namespace, labels=Labels.of(labels)),
        address=address,
        service_account=f"bookinfo-{app}",
        ports=(ContainerPort(PortNumber(9080)),),
        owner=f"{app}-{version}",
        is_gateway=gateway,
    )


def proxy(of: Workload, interception: Interception = Interception.UID, sockets: str = "") -> Proxy:
    role = Role.ROUTER if of.is_gateway else Role.SIDECAR
    return Proxy(of, role, interception, sockets)
