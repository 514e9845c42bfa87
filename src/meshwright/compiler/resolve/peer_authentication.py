"""PeerAuthentications become the mutual TLS mode of a port of a workload."""

from collections.abc import Iterable
from dataclasses import dataclass

from meshwright.model import codes
from meshwright.model.diagnostic import Checked, Diagnostic
from meshwright.model.labels import Labels
from meshwright.model.names import PortNumber
from meshwright.model.peer_authentication import MutualTlsMode, PeerAuthentication

DEFAULT = MutualTlsMode.PERMISSIVE
UNSET = MutualTlsMode.UNSET


@dataclass(frozen=True, slots=True)
class Policies:
    """What may hold in one namespace: the mesh's policy, the namespace's, and those with a selector, oldest first."""

    mesh: PeerAuthentication | None = None
    namespace: PeerAuthentication | None = None
    selecting: tuple[PeerAuthentication, ...] = ()

    def of_workload(self, labels: Labels) -> PeerAuthentication | None:
        """The oldest policy whose selector chooses a workload with these labels."""
        return next((policy for policy in self.selecting if labels.includes(policy.selector)), None)

    @property
    def wide(self) -> MutualTlsMode:
        """The mode of namespace and mesh alone: what clients infer of a service."""
        return _first(policy.mode for policy in (self.namespace, self.mesh) if policy is not None)

    def mode(self, labels: Labels, port: PortNumber | None = None) -> MutualTlsMode:
        """The mode of a workload's (target) port; of its other ports when `port` is None."""
        own = self.of_workload(labels)
        if own is None:
            return self.wide
        special = next((mode for number, mode in own.port_modes if number == port), UNSET)
        return _first((special, own.mode, self.wide))

    def special_ports(self, labels: Labels) -> tuple[PortNumber, ...]:
        """The ports that the workload's own policy names, sorted."""
        own = self.of_workload(labels)
        return () if own is None else tuple(sorted(port for port, _ in own.port_modes))


@dataclass(frozen=True, slots=True)
class Accepted:
    """What servers of a namespace take while clients may follow any of `sets` (one at least): both, where these
    differ.
    """

    sets: tuple[Policies, ...]

    def mode(self, labels: Labels, port: PortNumber | None = None) -> MutualTlsMode:
        """As `Policies.mode`."""
        modes = {each.mode(labels, port) for each in self.sets}
        return modes.pop() if len(modes) == 1 else MutualTlsMode.PERMISSIVE

    def special_ports(self, labels: Labels) -> tuple[PortNumber, ...]:
        """As `Policies.special_ports`."""
        return tuple(sorted({port for each in self.sets for port in each.special_ports(labels)}))


def policies_of(
    root: Iterable[PeerAuthentication], namespace: Iterable[PeerAuthentication], *, is_root: bool
) -> Policies:
    """The policies of one namespace out of all objects of the root namespace and of the namespace itself. Policies
    with a selector are not looked for in the root namespace's wide scope, as in Istio.
    """
    mesh = _oldest(policy for policy in root if not policy.selector)
    own = sorted(namespace, key=lambda policy: policy.meta.age)
    selecting = () if is_root else tuple(policy for policy in own if policy.selector)
    return Policies(mesh, None if is_root else _oldest(policy for policy in own if not policy.selector), selecting)


def taken(policies: Iterable[PeerAuthentication]) -> Checked[None]:
    """A finding for each policy of one namespace without selector (or with an equal one) that an older one hides."""
    winners: dict[Labels, PeerAuthentication] = {}
    findings: list[Diagnostic] = []
    for policy in sorted(policies, key=lambda policy: policy.meta.age):
        older = winners.setdefault(policy.selector, policy)
        if older is not policy:
            findings.append(Diagnostic(codes.POLICY_TAKEN, policy.meta.origin, (str(older.meta.ref),)))
    return Checked(None, tuple(findings))


def _oldest(policies: Iterable[PeerAuthentication]) -> PeerAuthentication | None:
    return min(policies, key=lambda policy: policy.meta.age, default=None)


def _first(modes: Iterable[MutualTlsMode]) -> MutualTlsMode:
    return next((mode for mode in modes if mode is not UNSET), DEFAULT)
