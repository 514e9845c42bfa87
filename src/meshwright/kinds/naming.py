"""Short names become full ones: hosts, gateways and namespaces as a document means them."""

from dataclasses import dataclass

from meshwright.kinds.formats import is_ip
from meshwright.model.names import Hostname
from meshwright.model.virtual_service import MESH_GATEWAY


@dataclass(frozen=True, slots=True)
class Names:
    """Resolves names for documents of one namespace."""

    namespace: str
    cluster_domain: str

    def host(self, name: str) -> Hostname:
        """`reviews` becomes a service of this namespace; names with a dot, wildcards and IPs stay.

        Names of hosts do not differ in the case of their letters, so all are lower-case from here on.
        """
        plain = (name.removesuffix(".") if "." in name.removesuffix(".") else name).lower()
        if "." in plain or plain.startswith("*") or is_ip(plain):
            return Hostname(plain)
        return self.service(plain)

    def service(self, name: str) -> Hostname:
        """The full host of a service of this namespace."""
        return Hostname(f"{name}.{self.namespace}.svc.{self.cluster_domain}")

    def gateway(self, name: str) -> str:
        """`public` becomes `<namespace>/public`; `mesh` stays."""
        if name == MESH_GATEWAY:
            return name
        space, _, plain = name.rpartition("/")
        return f"{self.namespace if space in ('', '.') else space}/{plain}"

    def gateways(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.gateway(name) for name in names))

    def export_to(self, targets: tuple[str, ...]) -> tuple[str, ...]:
        """Namespaces with `.` resolved; nothing given means everywhere. Order has no meaning."""
        if not targets:
            return ("*",)
        return tuple(sorted({self.namespace if target == "." else target for target in targets}))
