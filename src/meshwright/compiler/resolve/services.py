"""Services that share a host become the one that clients of a namespace reach."""

from collections.abc import Iterable, Sequence

from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.service import Registry, Service

EVERYONE, NOBODY = "*", "~"


def is_visible(service: Service, namespace: str) -> bool:
    """Whether clients of `namespace` may know the service; its own namespace is asked for like any other."""
    exported = service.export_to
    if not exported:
        return True
    own = service.meta.namespace == namespace and NOBODY not in exported
    return EVERYONE in exported or namespace in exported or (own and "." in exported)


def pick(candidates: Iterable[Service], namespace: str) -> Service | None:
    """Of several services with one host: the client's own namespace, then Kubernetes, then the oldest."""
    visible = [service for service in candidates if is_visible(service, namespace)]
    return min(
        visible,
        key=lambda service: (
            service.meta.namespace != namespace,
            service.registry is not Registry.KUBERNETES,
            service.meta.age,
        ),
        default=None,
    )


def taken(candidates: Sequence[Service]) -> Iterable[Diagnostic]:
    """A finding for each service that not even its own namespace reaches, because another has its host."""
    for service in candidates:
        winner = pick(candidates, service.meta.namespace)
        if winner is not None and winner is not service and is_visible(service, service.meta.namespace):
            args = (str(winner.meta.ref), service.host)
            yield Diagnostic(codes.SERVICE_TAKEN, service.meta.origin.field("spec").field("hosts"), args)
