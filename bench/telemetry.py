"""What telemetry costs: a pair of sidecars with it against a pair without, and a flood of records.

`python -m bench.telemetry`; two meshes with it and two without take turns in one run: first with a pair of sidecars
and an application that costs next to nothing, which is the worst case, then with Bookinfo, whose page takes five
requests between its services. A turn of four rounds (on, off, off, on) gives one ratio. Meshes with the same
setting differ from each other by some percent for as long as they live (where their memory happens to be), so after
some turns others take their place; what is left of that is printed as noise. Two figures say what telemetry costs:
the throughput, and the CPU time of all proxies for each request. Our own processes (the worker that asks the
proxies and reads their lines, agent, control plane) are counted apart: their CPU time while all take turns, per
request, so also in rounds of others.

Between its rounds a mesh waits for some 7 seconds at most: a proxy that was idle for ten begins with a line,
and the sizes, of each request (`telemetry.sampling`), which a steady load does once.

The flood writes lines into a proxy's `requests.log` as a proxy would that has so many requests; meanwhile changes are
pushed, and the worker's memory, CPU and the file's size are watched.
"""

import asyncio
import contextlib
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench._load import generator
from bench._memory import OWN, processes, sizes_of
from bench._product import Document, Product, all_proxies, pair_documents, product, product_side
from bench._rounds import MICROSECONDS, Measured, Shape, answers, cpu_seconds, ratio, ratio_of, take_turns
from bench._running import until_stopped
from bench._sandbox import HTTP2_HOST, Side
from meshwright.processes.client import connected

GOAL = 0.95
LABELS = {"rate": "requests/s", "cpu": "CPU us/request", "p50": "p50 us", "p99": "p99 us"}
LINES_PER_SECOND, PAUSE = 50_000, 0.02
FLOOD_ROUNDS, CHANGES = 6, 5
WORKER = "telemetry_process"
SETS, TURNS = 5, 8
"""So many times four meshes are started; so many turns they take with each load."""
SHAPES = (
    Shape("16 connections, HTTP/2 between the proxies", http2=True, connections=16, seconds=1, rounds=TURNS),
    Shape("16 connections, HTTP/1.1 between the proxies", http2=False, connections=16, seconds=1, rounds=TURNS),
    Shape("1 connection, HTTP/2 between the proxies", http2=True, connections=1, seconds=1, rounds=TURNS),
)
OFF: Document = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "istio", "namespace": "istio-system"},
    "data": {"mesh": "defaultProviders: {metrics: []}\n"},
}
BOOKINFO = Path(__file__).resolve().parents[1] / "samples/bookinfo/platform/kube/bookinfo.yaml"
PAGE = Shape(
    "Bookinfo's page, 16 connections",
    http2=False,
    connections=16,
    seconds=1,
    rounds=TURNS,
    url="http://productpage.default.svc.cluster.local:9080/productpage",
)
ORDER = (True, False, False, True)


async def measure() -> None:
    """Throughput of pairs, the flood on a pair that has telemetry, then Bookinfo in meshes of its own."""
    began = time.monotonic()
    print(f"load: {generator()}; server application: an Envoy that answers 1 KiB")
    pairs, page = [Taken(shape) for shape in SHAPES], Taken(PAGE)
    for number in range(SETS):
        async with _meshes([]) as meshes:
            sides = [await product_side(mesh) for mesh in meshes]
            for side in sides:
                for http2 in (True, False):
                    await answers(side, http2=http2)
            for taken in pairs:
                await _in_turns(meshes, sides, taken)
            if number == SETS - 1:
                for taken in pairs:
                    _print(taken)
                await _flooded(meshes[0])
    for _ in range(SETS):
        async with _meshes([BOOKINFO]) as meshes:
            sides = [replace(await product_side(mesh), proxies=await all_proxies(mesh)) for mesh in meshes]
            await _in_turns(meshes, sides, page)
    _print(page)
    print(f"took {time.monotonic() - began:.0f} s")


@dataclass(slots=True)
class Taken:
    """What one load gave so far: by place in ORDER, the rounds and the CPU seconds of the meshes' own processes."""

    shape: Shape
    measured: list[Measured] = field(default_factory=lambda: [Measured() for _ in ORDER])
    own: list[float] = field(default_factory=lambda: [0.0 for _ in ORDER])


@asynccontextmanager
async def _meshes(files: Sequence[Path]) -> AsyncGenerator[list[Product]]:
    """One for each place in ORDER, with a pair of sidecars and these files."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(product(files, [*pair_documents(), *([] if is_on else [OFF])]))
            for is_on in ORDER
        ]


async def _in_turns(meshes: Sequence[Product], sides: Sequence[Side], taken: Taken) -> None:
    """Add turns of these meshes, with what our own processes spent meanwhile. The first turn does not count: a proxy
    is told how busy it is when it has been so for a look of the worker.
    """
    await take_turns(sides, replace(taken.shape, rounds=1))
    own = [[one.pid for one in processes(mesh.data) if one.kind == OWN] for mesh in meshes]
    before = [sum(map(cpu_seconds, pids)) for pids in own]
    for known, fresh in zip(taken.measured, await take_turns(sides, taken.shape), strict=True):
        known.rounds.extend(fresh.rounds)
    for place, pids in enumerate(own):
        taken.own[place] += sum(map(cpu_seconds, pids)) - before[place]


def _print(taken: Taken) -> None:
    with_it, without = (
        [one for one, is_on in zip(taken.measured, ORDER, strict=True) if is_on is wanted] for wanted in (True, False)
    )
    on, off = (Measured([one for side in sides for one in side.rounds]) for sides in (with_it, without))
    shape = taken.shape
    print(f"\n{shape.name}: {SETS} times {shape.rounds} turns of 4 rounds of {shape.seconds:g} s, medians")
    for what, label in LABELS.items():
        found = ratio_of(_sums(with_it, what), _sums(without, what))
        print(
            f"  {label:15} on {on.median(what):9.1f}  off {off.median(what):9.1f}  ratio {found.median:.3f}"
            f"  quartiles {found.low:.3f} .. {found.high:.3f}"
            + (f"  goal >= {GOAL}: {'reached' if found.median >= GOAL else 'MISSED'}" if what == "rate" else "")
        )
    for name, (first, second) in (("on", with_it), ("off", without)):
        noise = ", ".join(
            f"{LABELS[what]} {found.median:.3f} ({found.low:.3f} .. {found.high:.3f})"
            for what in ("rate", "cpu")
            for found in [ratio(second, first, what)]
        )
        print(f"  noise: {name} to {name}, {noise}")
    spent = {
        wanted: MICROSECONDS * sum(cpu for cpu, is_on in zip(taken.own, ORDER, strict=True) if is_on is wanted)
        for wanted in (True, False)
    }
    own_on, own_off = spent[True] / max(1, on.requests), spent[False] / max(1, off.requests)
    print(f"  {'our processes':15} on {own_on:9.1f}  off {own_off:9.1f}  CPU us/request")
    if on.failed or off.failed:
        print(f"  failed requests: on {on.failed}, off {off.failed}")


def _sums(sides: Sequence[Measured], what: str) -> list[float]:
    """Of all sides together, turn by turn."""
    return [sum(values) for values in zip(*(side.values(what) for side in sides), strict=True)]


@dataclass(slots=True)
class Watched:
    """The worker and the file while it is flooded: largest sizes in MiB, and CPU seconds."""

    resident: float = 0.0
    file: float = 0.0
    cpu: list[float] = field(default_factory=list[float])
    pushes: list[float] = field(default_factory=list[float])


async def _flooded(mesh: Product) -> None:
    """Quiet and flooded rounds take turns; in each some changes are made."""
    [worker] = [one.pid for one in processes(mesh.data) if one.name == WORKER]
    log = mesh.data.pod(await mesh.pod("client-")) / "requests.log"
    [line] = log.read_bytes().splitlines(keepends=True)[-1:] or [b""]
    quiet, flood, written = Watched(), Watched(), 0
    for _ in range(FLOOD_ROUNDS):
        await _round(mesh, worker, log, quiet)
        async with flooding(log, line) as count:
            await _round(mesh, worker, log, flood)
        written += count[0]
    seconds = FLOOD_ROUNDS * ROUND_SECONDS
    print(
        f"\nflood: {written / seconds:,.0f} lines/s of {len(line)} bytes into a proxy's file, {seconds:.0f} s in all"
    )
    for name, seen in (("quiet", quiet), ("flood", flood)):
        cpu = 100 * statistics.fmean(seen.cpu) / ROUND_SECONDS
        print(f"  {name}: worker {seen.resident:.1f} MiB RSS at most, {cpu:.1f} % of a core")
        print(f"         requests.log {seen.file:.1f} MiB at most")
        print(
            f"         a change is live after {statistics.median(seen.pushes):.1f} ms (median of {len(seen.pushes)})"
        )
    pairs = [one / other for one, other in zip(flood.pushes, quiet.pushes, strict=True)]
    low, middle, high = statistics.quantiles(pairs, n=4)
    print(f"  changes, flood to quiet: ratio {middle:.2f}, quartiles {low:.2f} .. {high:.2f}")


ROUND_SECONDS = 6.0


async def _round(mesh: Product, worker: int, log: Path, seen: Watched) -> None:
    clock = asyncio.get_running_loop().time
    end, before = clock() + ROUND_SECONDS, cpu_seconds(worker)
    for _ in range(CHANGES):
        seen.pushes.append(await _change(mesh))
        until = clock() + ROUND_SECONDS / CHANGES / 2
        while clock() < until:
            sizes = sizes_of(worker)
            seen.resident = max(seen.resident, sizes[2] if sizes else 0.0)
            seen.file = max(seen.file, log.stat().st_size / 1024**2)
            await asyncio.sleep(0.05)
    await asyncio.sleep(max(0.0, end - clock()))
    seen.cpu.append(cpu_seconds(worker) - before)


_changes = iter(range(1, 1_000_000))


async def _change(mesh: Product) -> float:
    """Milliseconds from the write until both proxies run another VirtualService."""
    text = f"""apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: bench, namespace: bench}}
spec:
  hosts: [{HTTP2_HOST}]
  http:
  - headers: {{request: {{set: {{x-number: "{next(_changes)}"}}}}}}
    route: [{{destination: {{host: {HTTP2_HOST}}}}}]
"""
    fields: dict[str, Any] = {
        "texts": [{"file": "bench.yaml", "text": text}],
        "author": "bench",
        "dry_run": False,
        "wait": 20,
    }
    async with connected(mesh.data.run / "mesh.sock") as client:
        result, _ = await client.call("apply", fields)
    receipt = result.values["receipt"]
    if receipt is None or receipt["milliseconds"] is None:
        raise RuntimeError(f"the change is not live: {result.values}")
    return float(receipt["milliseconds"])


@asynccontextmanager
async def flooding(log: Path, line: bytes) -> AsyncGenerator[list[int]]:
    """Lines are appended for the length of a block; the list holds how many."""
    count, stopped = [0], asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_flood(log, line, count, stopped))
        try:
            yield count
        finally:
            stopped.set()


async def _flood(log: Path, line: bytes, count: list[int], stopped: asyncio.Event) -> None:
    piece = line * 100
    began = time.monotonic()
    with log.open("ab", buffering=0) as file:
        while not stopped.is_set():
            due = (time.monotonic() - began) * LINES_PER_SECOND
            while count[0] < due:
                file.write(piece)
                count[0] += 100
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), PAUSE)


def main() -> int:
    return until_stopped(measure)


if __name__ == "__main__":
    sys.exit(main())
