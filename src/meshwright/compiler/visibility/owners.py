"""Which VirtualService routes which host of a sidecar: the most specific, and of equal ones the oldest."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from meshwright.compiler.visibility.buckets import BUCKETS, bucket_of
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.names import Hostname
from meshwright.model.virtual_service import MESH_GATEWAY, VirtualService

Owned = tuple[tuple[Hostname, VirtualService], ...]
WILDCARDS = -1
"""Stands for the bucket of all hosts with wildcards."""


@dataclass(frozen=True, slots=True)
class Ownership:
    """The hosts of one bucket with their VirtualServices, and who came too late."""

    hosts: Owned = ()
    findings: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class Owners:
    """`exact` by bucket of the host, each sorted; `wildcards` longest first."""

    exact: tuple[Ownership, ...]
    wildcards: Ownership

    def findings(self) -> tuple[Diagnostic, ...]:
        """Of all hosts."""
        return tuple(chain.from_iterable(one.findings for one in (*self.exact, self.wildcards)))


NOBODY = Owners((Ownership(),) * BUCKETS, Ownership())


def owned_buckets(rule: VirtualService) -> frozenset[int]:
    """The buckets of the hosts that a VirtualService wants to route; none for gateways' rules and connections'."""
    if not rule.http or MESH_GATEWAY not in rule.gateways:
        return frozenset()
    return frozenset(map(_bucket, rule.hosts))


def ownership(rules: Iterable[VirtualService], bucket: int) -> Ownership:
    """Who owns the hosts of `bucket`; `rules` come oldest first and are all that want one of them."""
    owners: dict[Hostname, VirtualService] = {}
    findings: list[Diagnostic] = []
    for rule in rules:
        for index, host in enumerate(rule.hosts):
            if _bucket(host) != bucket:
                continue
            owner = owners.setdefault(host, rule)
            if owner is not rule:
                at = rule.meta.origin.field("spec").field("hosts").item(index)
                findings.append(Diagnostic(codes.HOST_TAKEN, at, (str(owner.meta.ref), host)))
    longest_first = sorted(owners.items(), key=lambda pair: (-len(pair[0]) if bucket == WILDCARDS else 0, pair[0]))
    return Ownership(tuple(longest_first), tuple(findings))


def _bucket(host: Hostname) -> int:
    return WILDCARDS if host.startswith("*") else bucket_of(host)
