"""A DestinationRule becomes the one policy that holds for a port of a subset."""

from dataclasses import dataclass

from meshwright.model.client_tls import ClientTls
from meshwright.model.connection_pool import ConnectionPool
from meshwright.model.destination_rule import DestinationRule, PortPolicy, Subset, TrafficPolicy
from meshwright.model.load_balancing import LoadBalancing
from meshwright.model.names import PortNumber
from meshwright.model.origin import Origin
from meshwright.model.outlier_detection import OutlierDetection


@dataclass(frozen=True, slots=True)
class Policy:
    """The four blocks that hold; None = not set. `origin` is what they stand in, None when nothing is set."""

    load_balancing: LoadBalancing | None = None
    connection_pool: ConnectionPool | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTls | None = None
    origin: Origin | None = None


NOTHING = Policy()


def policy_of(rule: DestinationRule | None, subset: Subset | None, port: PortNumber) -> Policy:
    """A subset's blocks replace the rule's block by block; a port's settings (the subset's before the rule's)
    replace all four blocks, also those that they leave out.
    """
    whole = rule.policy if rule is not None else None
    part = subset.policy if subset is not None else None
    for policy in (part, whole):
        if policy is not None and (found := _port(policy, port)) is not None:
            at = found.origin or policy.origin
            return Policy(found.load_balancing, found.connection_pool, found.outlier_detection, found.tls, at)
    if part is None or whole is None:
        only = part or whole
        return NOTHING if only is None else _blocks(only)
    return Policy(
        part.load_balancing or whole.load_balancing,
        part.connection_pool or whole.connection_pool,
        part.outlier_detection or whole.outlier_detection,
        part.tls or whole.tls,
        part.origin,
    )


def _blocks(policy: TrafficPolicy) -> Policy:
    return Policy(policy.load_balancing, policy.connection_pool, policy.outlier_detection, policy.tls, policy.origin)


def _port(policy: TrafficPolicy, port: PortNumber) -> PortPolicy | None:
    return next((settings for settings in policy.ports if settings.port == port), None)


def client_credentials(rule: DestinationRule) -> tuple[str, ...]:
    """The Secrets that any policy of the rule names, sorted."""
    policies = (rule.policy, *(subset.policy for subset in rule.subsets))
    blocks = [
        block
        for policy in policies
        if policy is not None
        for block in (policy.tls, *(port.tls for port in policy.ports))
    ]
    return tuple(sorted({block.credential_name for block in blocks if block is not None and block.credential_name}))
