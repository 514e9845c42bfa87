"""DestinationRules whose TLS waits: what they say of it is meant for servers that are not open for it yet.

Who changes a PeerAuthentication and the rule of its clients together (or one right after the other) must not have
clients send what no server takes yet. Only TLS waits, and only that towards servers whose modes are on their way;
whatever else the rule says is in effect at once. A rule that is deleted stays until then if it spoke of TLS.
"""

from collections.abc import Iterable
from dataclasses import replace

from meshwright.model.client_tls import ClientTls
from meshwright.model.destination_rule import DestinationRule, PortPolicy, TrafficPolicy
from meshwright.model.names import PortNumber
from meshwright.model.origin import ObjectRef
from meshwright.model.service import Service
from meshwright.wiring.kept import Kept

Rules = tuple[DestinationRule, ...]
PortTls = tuple[tuple[PortNumber, ClientTls | None], ...]
NO_TLS: tuple[ClientTls | None, PortTls] = (None, ())


class HeldRules:
    """`held` are the stored rules whose TLS waits. `let_go` or `hold` in each round; `follow` when clients move."""

    def __init__(self) -> None:
        self.held: frozenset[ObjectRef] = frozenset()
        self._told: Rules = ()  # whose TLS clients follow
        self._aimed: Rules = ()  # whose TLS goes with the modes that are on their way
        self._seen: tuple[Rules, frozenset[str] | None, bool] | None = None
        self._last: Rules = ()
        self._spoken: tuple[Rules, Rules, Rules, Rules] = ((), (), (), ())
        self._bare: Kept[DestinationRule, None, DestinationRule | None] = Kept(_bare)

    @property
    def spoken(self) -> tuple[Rules, Rules]:
        """What the rules whose TLS clients follow, and those that go with the modes on their way, say of it."""
        if self._spoken[0] is not self._told or self._spoken[1] is not self._aimed:
            told, aimed = (tuple(filter(None, (self._bare(rule, None) for rule in rules))) for rules in self._both)
            self._spoken = (self._told, self._aimed, told, aimed)
            self._bare.turn()
        return self._spoken[2:]

    @property
    def _both(self) -> tuple[Rules, Rules]:
        return self._told, self._aimed

    def resume(self, told: Rules, aimed: Rules) -> None:
        """Go on from what was in effect before a start, as `spoken` told it: a rule that has gone and stays until
        servers are open stays without its pools and the like.
        """
        self._told, self._aimed = told, aimed

    def let_go(self, stored: Rules) -> Rules:
        """What is in effect when servers are open for all that is stored: just that."""
        self.held, self._told, self._aimed, self._seen = frozenset(), stored, stored, None
        return stored

    def follow(self) -> None:
        """Clients follow the modes that were on their way."""
        self._told, self._seen = self._aimed, None

    def hold(self, stored: Rules, services: Iterable[Service], moving: frozenset[str] | None, *, aims: bool) -> Rules:
        """What is in effect while the modes of servers in these namespaces are on their way (None: in all); `aims`:
        and the stored rules go with these, not with later ones.
        """
        seen = self._seen
        if seen is None or seen[0] is not stored or seen[1:] != (moving, aims):
            self._seen = (stored, moving, aims)
            self._hold(stored, tuple(services), moving, aims=aims)
        return self._last

    def _hold(
        self, stored: Rules, services: tuple[Service, ...], moving: frozenset[str] | None, *, aims: bool
    ) -> None:
        told, aimed, new = (_by_ref(rules) for rules in (self._told, self._aimed, stored))
        effect, held = dict(new), set[ObjectRef]()
        for ref in told.keys() | aimed.keys() | new.keys():
            versions = (told.get(ref), aimed.get(ref), new.get(ref))
            if versions[0] is versions[1] is versions[2]:
                continue
            if not _concerns([each for each in versions if each is not None], services, moving):
                _set(told, ref, new.get(ref))
                _set(aimed, ref, new.get(ref))
            elif _tls_of(told.get(ref)) != _tls_of(new.get(ref)):
                held.add(ref)
                _set(effect, ref, with_tls_of(new[ref], told.get(ref)) if ref in new else told.get(ref))
        self._told = tuple(told.values())
        self._aimed = stored if aims else tuple(aimed.values())
        self.held = frozenset(held)
        self._last = tuple(effect.values()) if held else stored


def _by_ref(rules: Rules) -> dict[ObjectRef, DestinationRule]:
    return {rule.meta.ref: rule for rule in rules}


def _set(rules: dict[ObjectRef, DestinationRule], ref: ObjectRef, rule: DestinationRule | None) -> None:
    if rule is None:
        rules.pop(ref, None)
    else:
        rules[ref] = rule


def _concerns(
    versions: Iterable[DestinationRule], services: Iterable[Service], moving: frozenset[str] | None
) -> bool:
    places = _places(versions, services)
    return moving is None or places is None or bool(places & moving)


def with_tls_of(rule: DestinationRule, base: DestinationRule | None) -> DestinationRule:
    """The rule with no more of TLS than another says, or that there was none; of subsets those that both have."""
    said = base if base is not None and base.host == rule.host else None
    known = {} if said is None else {subset.name: subset.policy for subset in said.subsets}
    subsets = (replace(subset, policy=_with_tls(subset.policy, known.get(subset.name))) for subset in rule.subsets)
    return replace(rule, policy=_with_tls(rule.policy, said.policy if said else None), subsets=tuple(subsets))


def _with_tls(policy: TrafficPolicy | None, base: TrafficPolicy | None) -> TrafficPolicy | None:
    wide, by_port = _tls(base)
    if policy is None:
        return None if base is None or (wide, by_port) == NO_TLS else _nothing_but_tls(base)
    blocks = {port.port: port for port in policy.ports}
    special = dict(by_port)
    numbers = dict.fromkeys((*blocks, *special))
    ports = (_port(number, policy, blocks.get(number), special.get(number, wide)) for number in numbers)
    return replace(policy, tls=wide, ports=tuple(ports))


def _port(number: PortNumber, policy: TrafficPolicy, block: PortPolicy | None, tls: ClientTls | None) -> PortPolicy:
    """The settings of a port replace all of the policy's: where only the other rule has some, the policy's hold."""
    if block is not None:
        return replace(block, tls=tls)
    return PortPolicy(number, policy.load_balancing, policy.connection_pool, policy.outlier_detection, tls)


def _nothing_but_tls(base: TrafficPolicy) -> TrafficPolicy:
    ports = tuple(PortPolicy(port.port, tls=port.tls, origin=port.origin) for port in base.ports)
    return TrafficPolicy(base.origin, tls=base.tls, ports=ports)


def _tls(policy: TrafficPolicy | None) -> tuple[ClientTls | None, PortTls]:
    """What a policy says of TLS, and its ports."""
    return NO_TLS if policy is None else (policy.tls, tuple((port.port, port.tls) for port in policy.ports))


def _tls_of(rule: DestinationRule | None) -> object:
    """All that a rule says of TLS; one that says nothing is as good as none."""
    if rule is None:
        return None
    said = {"": _tls(rule.policy), **{subset.name: _tls(subset.policy) for subset in rule.subsets}}
    said = {name: each for name, each in said.items() if each != NO_TLS}
    if not any(wide is not None or any(tls is not None for _, tls in ports) for wide, ports in said.values()):
        return None
    return rule.host, said


def _bare(rule: DestinationRule, extra: None) -> DestinationRule | None:
    """A rule with nothing but what it says of TLS; None where it says nothing."""
    del extra
    if not any(map(_says_tls, (rule.policy, *(subset.policy for subset in rule.subsets)))):
        return None
    subsets = (replace(each, policy=each.policy and _nothing_but_tls(each.policy)) for each in rule.subsets)
    return replace(rule, policy=rule.policy and _nothing_but_tls(rule.policy), subsets=tuple(subsets))


def _says_tls(policy: TrafficPolicy | None) -> bool:
    return policy is not None and (policy.tls is not None or any(port.tls is not None for port in policy.ports))


def _places(rules: Iterable[DestinationRule], services: Iterable[Service]) -> frozenset[str] | None:
    """The namespaces of the servers of these rules' hosts; None: any (wildcards, listed endpoints)."""
    hosts = {rule.host for rule in rules}
    found = [service for service in services if service.host in hosts and not service.mesh_external]
    if any(host.startswith("*") for host in hosts) or any(service.endpoints for service in found):
        return None
    return frozenset(service.meta.namespace for service in found)
