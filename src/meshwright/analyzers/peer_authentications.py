"""PeerAuthentications that change nothing."""

from collections.abc import Iterable, Iterator

from meshwright.analyzers.analyzer import Analyzer
from meshwright.analyzers.scene import Scene, listed
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.peer_authentication import PeerAuthentication
from meshwright.model.workload import Workload, target_port


def _policies(scene: Scene) -> Iterable[PeerAuthentication]:
    return scene.snapshot.peer_authentications


def _check(scene: Scene, policy: PeerAuthentication) -> Iterator[Diagnostic]:
    namespace = policy.meta.namespace
    at = policy.meta.origin.field("spec").field("selector")
    if namespace == scene.snapshot.settings.root_namespace:
        if policy.selector:
            yield Diagnostic(codes.POLICY_IN_ROOT, at)
        return
    chosen = scene.picked(namespace, policy.selector)
    if policy.selector and not chosen:
        others = {load.labels.text for load in scene.workloads_in(namespace)}
        hint = f"its workloads have {listed(sorted(others)[:3])}" if others else "there is no workload in it"
        yield Diagnostic(codes.SELECTS_NOBODY, at, (namespace, policy.selector.text, hint))
    elif chosen and not any(load.has_proxy for load in chosen):
        yield Diagnostic(codes.POLICY_WITHOUT_PROXY, policy.meta.origin)
    elif chosen:
        yield from _ports(scene, policy, chosen)


def _ports(scene: Scene, policy: PeerAuthentication, chosen: tuple[Workload, ...]) -> Iterator[Diagnostic]:
    served = {port.number for load in chosen for port in load.ports}
    for load in chosen:
        targets = (target_port(port, load) for service in scene.selecting(load) for port in service.ports)
        served.update(target for target in targets if target is not None)
    for number, _ in policy.port_modes:
        if served and number not in served:
            at = policy.meta.origin.field("spec").field("portLevelMtls").field(str(number))
            yield Diagnostic(codes.PORT_MODE_UNUSED, at, (str(number), listed(sorted(served))))


ANALYZER = Analyzer(
    (codes.SELECTS_NOBODY, codes.POLICY_WITHOUT_PROXY, codes.POLICY_IN_ROOT, codes.PORT_MODE_UNUSED),
    _policies,
    _check,
)
