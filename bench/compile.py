"""How long a compilation takes at 10, 100 and 1,000 services with two subsets each: all of it, and after one change;
and what it costs to find out what 1,000 streams must get then.

`python -m bench.compile`. The ratios between sizes are what counts; the milliseconds are this machine's. All of it
may grow with the mesh; what follows one change must not.
"""

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

from bench._streams import Streams
from meshwright.compiler.compile import Compiler
from meshwright.model.destination import Destination
from meshwright.model.destination_rule import DestinationRule, Subset, TrafficPolicy
from meshwright.model.header_operations import HeaderOperations
from meshwright.model.labels import Labels
from meshwright.model.load_balancing import LoadBalancing, SimpleBalancing
from meshwright.model.meta import Meta
from meshwright.model.names import Hostname, PortNumber, SubsetName
from meshwright.model.origin import ObjectRef, Origin
from meshwright.model.protocol import Protocol
from meshwright.model.proxy import Proxy, Role
from meshwright.model.service import Service, ServicePort
from meshwright.model.snapshot import Snapshot
from meshwright.model.virtual_service import HttpRule, VirtualService, WeightedDestination
from meshwright.model.workload import Workload

SIZES = (10, 100, 1000)
NAMESPACES = 5
ROUNDS = 30
STREAMS = 100
"""How many streams of one class are measured; the result is given for PER_STREAMS."""
PER_STREAMS = 1000
EVERYTHING = "everything"
GOAL = 1.5
"""What a change may cost in the largest mesh, as a multiple of the smallest."""
PORT = PortNumber(9080)
CREATED = "2026-01-01T00:00:00Z"


def mesh(size: int) -> Snapshot:
    """`size` services in five namespaces, two workloads of two versions each, a DestinationRule with two subsets and
    a VirtualService with two weights for each; every workload has a proxy.
    """
    services = tuple(_service(number) for number in range(size))
    workloads = tuple(_workload(number, version) for number in range(size) for version in ("v1", "v2"))
    return Snapshot(
        services=services,
        workloads=workloads,
        destination_rules=tuple(_rule(number) for number in range(size)),
        virtual_services=tuple(_routes(number, 90) for number in range(size)),
        proxies=tuple(Proxy(workload, Role.SIDECAR) for workload in workloads),
    )


def _meta(kind: str, name: str, number: int, labels: Labels | None = None) -> Meta:
    return Meta(ObjectRef(kind, f"ns-{number % NAMESPACES}", name), CREATED, labels or Labels())


def _host(number: int) -> Hostname:
    return Hostname(f"svc-{number}.ns-{number % NAMESPACES}.svc.cluster.local")


def _service(number: int) -> Service:
    meta = _meta("Service", f"svc-{number}", number)
    port = ServicePort(PORT, "http", Protocol.HTTP, meta.origin.field("spec").field("ports").item(0))
    address = f"240.{240 + number // 65536}.{number // 256 % 256}.{number % 256}"
    return Service(meta, _host(number), (port,), addresses=(address,), selector=Labels.of({"app": f"svc-{number}"}))


def _workload(number: int, version: str) -> Workload:
    labels = Labels.of({"app": f"svc-{number}", "version": version})
    return Workload(
        _meta("Pod", f"svc-{number}-{version}", number, labels),
        address=f"10.{number // 100}.{number % 100}.{version[1:]}",
        service_account=f"svc-{number}",
    )


def _rule(number: int) -> DestinationRule:
    meta = _meta("DestinationRule", f"svc-{number}", number)
    subsets = tuple(
        Subset(SubsetName(name), Labels.of({"version": name}), meta.origin.field("spec")) for name in ("v1", "v2")
    )
    return DestinationRule(meta, _host(number), subsets=subsets)


def _routes(number: int, weight: int) -> VirtualService:
    meta = _meta("VirtualService", f"svc-{number}", number)
    at: Origin = meta.origin.field("spec").field("http").item(0)
    route = tuple(
        WeightedDestination(Destination(_host(number), SubsetName(name), PORT), share, HeaderOperations(), at)
        for name, share in (("v1", weight), ("v2", 100 - weight))
    )
    return VirtualService(meta, (_host(number),), ("mesh",), (HttpRule(at, route=route),))


def weight_changed(snapshot: Snapshot, turn: int) -> Snapshot:
    """One VirtualService splits traffic another way."""
    rules = list(snapshot.virtual_services)
    rules[3] = _routes(3, 10 + turn % 80)
    return replace(snapshot, virtual_services=tuple(rules))


def endpoint_changed(snapshot: Snapshot, turn: int) -> Snapshot:
    """One pod gets another address."""
    workloads = list(snapshot.workloads)
    moved = replace(workloads[7], address=f"10.200.0.{1 + turn % 200}")
    workloads[7] = moved
    proxies = list(snapshot.proxies)
    proxies[7] = Proxy(moved, Role.SIDECAR)
    return replace(snapshot, workloads=tuple(workloads), proxies=tuple(proxies))


def policy_changed(snapshot: Snapshot, turn: int) -> Snapshot:
    """One DestinationRule balances another way."""
    rules = list(snapshot.destination_rules)
    simple = SimpleBalancing.RANDOM if turn % 2 else SimpleBalancing.ROUND_ROBIN
    spec = rules[3].meta.origin.field("spec")
    rules[3] = replace(rules[3], policy=TrafficPolicy(spec, load_balancing=LoadBalancing(simple)))
    return replace(snapshot, destination_rules=tuple(rules))


CHANGES: tuple[tuple[str, Callable[[Snapshot, int], Snapshot]], ...] = (
    ("VirtualService weight", weight_changed),
    ("endpoint address", endpoint_changed),
    ("DestinationRule policy", policy_changed),
)


def measure(size: int) -> dict[str, float]:
    """Milliseconds by what was done."""
    snapshot = mesh(size)
    compiler = Compiler()
    started = time.process_time()
    compiler.compile(snapshot)
    found = {EVERYTHING: (time.process_time() - started) * 1000}
    gc.collect()
    gc.freeze()
    for name, change in CHANGES:
        times: list[float] = []
        for turn in range(ROUNDS):
            snapshot = change(snapshot, turn)
            started = time.process_time()
            compiler.compile(snapshot)
            times.append((time.process_time() - started) * 1000)
        found[name] = statistics.median(times)
    found |= _distribution(compiler, snapshot)
    gc.unfreeze()
    return found


def _distribution(compiler: Compiler, snapshot: Snapshot) -> dict[str, float]:
    """Milliseconds until PER_STREAMS streams know what they must get, and until their responses are serialised."""
    published = compiler.compile(snapshot)
    one = published.proxies[snapshot.proxies[0].name]
    streams = Streams(STREAMS, published.classes[one])
    found: dict[str, float] = {}
    for name, change in CHANGES:
        times: list[tuple[float, float]] = []
        for turn in range(5):
            snapshot = change(snapshot, turn + ROUNDS + 1)
            knowing, writing, _ = streams.follow(compiler.compile(snapshot).classes[one])
            times.append((knowing, writing))
        scale = 1000 * PER_STREAMS / STREAMS
        found[f"{name}, diff"] = statistics.median(time for time, _ in times) * scale
        found[f"{name}, responses"] = statistics.median(time for _, time in times) * scale
    return found


def main() -> None:
    """Print a table: sizes across, what was done down, and how the largest compares with the smallest."""
    results = {size: measure(size) for size in SIZES}
    print(f"CPU ms at so many services{'':14}" + "".join(f"{size:>10}" for size in SIZES) + f"{'ratio':>10}")
    for name in results[SIZES[0]]:
        if name == CHANGES[0][0]:
            print(f"compile after one change (goal: ratio at most {GOAL})")
        if name.startswith(f"{CHANGES[0][0]}, "):
            print(f"distribution to {PER_STREAMS} streams of a class ({STREAMS} measured)")
            break
        _print(name, [results[size][name] for size in SIZES])
    for name in results[SIZES[0]]:
        if "," in name:
            _print(name, [results[size][name] for size in SIZES])


def _print(name: str, row: list[float]) -> None:
    print(f"  {name:<38}" + "".join(f"{value:>10.2f}" for value in row) + f"{row[-1] / row[0]:>10.1f}")


if __name__ == "__main__":
    main()
