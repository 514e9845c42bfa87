"""The only door of the compiler: a Snapshot in, encoded resources per proxy class out."""

import gc
from collections.abc import Generator
from contextlib import contextmanager

from meshwright.compiler.envoy.assembly import Assembly, Bundle
from meshwright.compiler.envoy.bootstrap import Sockets, live_bootstrap
from meshwright.compiler.envoy.static_bootstrap import StaticSecret, resources_json, static_bootstrap
from meshwright.compiler.tracked import Ledger
from meshwright.compiler.visibility.findings import Findings
from meshwright.compiler.visibility.mesh import Mesh
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.names import ProxyName
from meshwright.model.origin import Origin
from meshwright.model.proxy import ProxyClass
from meshwright.model.published import Published
from meshwright.model.snapshot import Snapshot

__all__ = [
    "Compiler",
    "Sockets",
    "StaticSecret",
    "explain_class",
    "live_bootstrap",
    "resources_json",
    "static_bootstrap",
]
SWEEP_ROUNDS = 256
"""How many compilations may pass before what nobody needs any more is forgotten."""


class Compiler:
    """Keep one: it remembers what it may need again. `audit` makes it compute everything anew in each compilation
    and compare (tests do). Not for several threads at once.
    """

    def __init__(self, *, audit: bool = False) -> None:
        self._ledger = Ledger(audit=audit)
        self._mesh = Mesh(self._ledger)
        self._assembly = Assembly(self._mesh, self._ledger)
        self._findings = Findings(self._mesh, self._ledger)

    @property
    def computed(self) -> int:
        """How many values the last compilation computed: its work, whatever the clock says."""
        return self._ledger.computed

    def compile(self, snapshot: Snapshot) -> Published:
        """Everything that the proxies of `snapshot` need. Equal snapshots give equal results, whatever was compiled
        before; what did not change is the very same object as in the last result.
        """
        with _collector_off():
            return self._compile(snapshot)

    def _compile(self, snapshot: Snapshot) -> Published:
        self._mesh.feed(snapshot)
        bundles = {
            proxy_class: self._assembly.bundle(self._assembly.client(proxy_class))
            for proxy_class in self._mesh.classes(0)
        }
        findings = dict.fromkeys(self._findings.of_mesh(0))
        for bundle in bundles.values():
            findings.update(dict.fromkeys(bundle.findings))
        self._forget(bundles)
        return Published(
            proxies=self._mesh.proxies(0),
            classes={proxy_class: bundle.resources for proxy_class, bundle in bundles.items()},
            secrets={proxy_class: bundle.secrets for proxy_class, bundle in bundles.items()},
            diagnostics=tuple(sorted(findings, key=_place)),
        )

    def _forget(self, bundles: dict[ProxyClass, Bundle]) -> None:
        self._assembly.turn(bundles.keys())
        if self._ledger.round % SWEEP_ROUNDS == 0:
            classes = frozenset(bundles)
            self._findings.sweep()
            self._mesh.sweep(classes, self._assembly.sweep(classes))


@contextmanager
def _collector_off() -> Generator[None]:
    """Values of a compilation live long and form no cycles. Looking for cycles among all of them, again and again
    while they are made, would be almost half of the work of a first compilation.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _place(finding: Diagnostic) -> tuple[Origin, str, tuple[str, ...]]:
    return finding.origin, finding.code.id, finding.args


def explain_class(published: Published, proxy: ProxyName) -> str:
    """The class key of a proxy as text, one part a line. Raises KeyError for an unknown proxy."""
    found = published.proxies[proxy]
    lines = [
        f"role: {found.role.value}",
        f"namespace: {found.namespace}",
        f"interception: {found.interception.value}",
        f"envoy: {found.envoy_version}",
        *(f"inbound: {one.port} {one.protocol.value} {one.mode.value}" for one in found.inbound),
        f"other ports: {found.passthrough_mode.value}",
        *(f"selected by: {ref}" for ref in found.matched),
        *(f"condition holds: {ref} {path}" for ref, path in found.rules),
        *(f"port: {number} at {target}" for number, target in found.gateway_ports),
        *(
            f"{name}: {value}"
            for name, value in (("sockets", found.ingress_sockets), ("address", found.address))
            if value
        ),
    ]
    alike = sorted(name for name, other in published.proxies.items() if other == found and name != proxy)
    return "\n".join([*lines, f"same class: {', '.join(alike) or 'nobody'}"])
