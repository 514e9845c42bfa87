"""The names that clients of one namespace may use for a service become the domains of its virtual host."""

from meshwright.model.service import Registry, Service


def full_names(service: Service) -> tuple[str, ...]:
    """The host itself, and its absolute form with a dot at the end."""
    return service.host, f"{service.host}."


def domains(service: Service, client_namespace: str, cluster_domain: str) -> tuple[str, ...]:
    """Full names first, then short ones, then addresses; headless services also answer for their pods' names."""
    names = (*full_names(service), *short_names(service, client_namespace, cluster_domain))
    if service.headless and service.registry is Registry.KUBERNETES:
        names += tuple(f"*.{name}" for name in names)
    return names + tuple(_bracketed(address) for address in service.addresses if "/" not in address)


def short_names(service: Service, client_namespace: str, cluster_domain: str) -> tuple[str, ...]:
    """`reviews` (from its own namespace only), `reviews.shop.svc` and `reviews.shop`; none of foreign hosts."""
    suffix = f".svc.{cluster_domain}"
    if service.registry is not Registry.KUBERNETES or not service.host.endswith(suffix):
        return ()
    short = service.host.removesuffix(suffix)
    name, _, namespace = short.rpartition(".")
    longer = (f"{short}.svc", short)
    return (name, *longer) if namespace == client_namespace else longer


def with_port(names: tuple[str, ...], port: int) -> tuple[str, ...]:
    """The names as a forward proxy sees them: with the port, which may be left out when it is 80."""
    usual_port = 80
    numbered = tuple(f"{name}:{port}" for name in names)
    return names + numbered if port == usual_port else numbered


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
