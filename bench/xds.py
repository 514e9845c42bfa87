"""Delta ADS for many simulated proxies over real sockets: our server against one over grpcio and two over the
published go-control-plane, all of them holding and sending the same resources.

`python -m bench.xds [SHAPE...]`, e.g. `1000/1/1000` for 1,000 proxies of one class where 1,000 services are held. One
run holds all servers at once, connected, each on the same one CPU, and they take turns: the ratio is the median of
the ratios of neighbouring rounds.
"""

import asyncio
import contextlib
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

from bench._running import until_stopped
from bench._xds_mesh import Held, endpoints, marker, mesh
from bench._xds_sides import Shape, Side, Took, living, ours, proxies_program, rivals, running
from meshwright.model.names import ROUTES, ResourceName

SHAPES = (Shape(1000, 1, 1), Shape(1000, 100, 1), Shape(1000, 1, 1000), Shape(5000, 1, 1), Shape(5000, 100, 1))
LIVING = (Shape(7, 1, 10), Shape(100, 1, 100), Shape(1000, 1, 100))
WRITES = 20
ROUNDS, CHANGES, STORMS = 7, 6, 3
GOAL, GOAL_HELD = 1 / 3, 1 / 20
GOAL_FOR = "go-control-plane"
SPARE_FILES = 200
MANY = 1000  # services, from which on the goal is the other one


async def measure() -> None:
    began = time.monotonic()
    shapes = [Shape(*map(int, each.split("/"))) for each in sys.argv[1:]] or SHAPES
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    with tempfile.TemporaryDirectory(prefix="mwx-") as name:
        folder = Path(name)
        proxies, others = await proxies_program(folder), await rivals(folder)
        for number, shape in enumerate(shapes):
            if 2 * shape.proxies + SPARE_FILES > files:
                print(f"{shape}: not measured, a process may open {files} files only")
                continue
            async with contextlib.AsyncExitStack() as stack:
                data = mesh(shape.services, shape.classes)
                own = running(ours(shape), shape, data, folder / f"{number}", proxies)
                sides = [await stack.enter_async_context(own)]
                for at, kind in enumerate(others):
                    try:
                        one = running(kind, shape, data, folder / f"{number}-{at}", proxies)
                        sides.append(await stack.enter_async_context(one))
                    except RuntimeError as error:
                        print(f"{shape}: not measured: {error}")
                await take_turns(sides)
            report(shape, sides)
        if not sys.argv[1:]:
            await from_the_store(folder, proxies)
    print(f"took {time.monotonic() - began:.0f} s")


async def take_turns(sides: list[Side]) -> None:
    """Every side measures every round; who is first changes."""
    turns = count(1)
    for side in sides:
        await _changes(side, turns)  # caches, and the collectors of garbage
        side.changes.clear()
    for number in range(ROUNDS):
        for side in sides if number % 2 == 0 else reversed(sides):
            await _changes(side, turns)
    for number in range(STORMS):
        for side in sides if number % 2 == 0 else reversed(sides):
            turn = next(turns)
            side.storms.append(await side.storm(endpoints(0, turn), marker(turn)))
    for side in sides:
        await side.check()


async def from_the_store(folder: Path, proxies: Path) -> None:
    """A VirtualService is written; the last proxy acknowledges the routes that were compiled from it."""
    print("\nfrom the store: a VirtualService is written (synchronous=FULL), followed, compiled, sent, acknowledged")
    for shape in LIVING:
        async with living(shape, folder / f"living-{shape.proxies}-{shape.services}", proxies) as side:
            found: list[Took] = []
            for turn in range(1, WRITES + 1):
                text = marker(turn)
                found.append(await side.change(Held(ROUTES, ResourceName("-"), text.encode()), text))
                await asyncio.sleep(0.05)
            before = await side.cpu()
            for turn in range(WRITES + 1, 2 * WRITES + 1):
                text = marker(turn)
                await side.change(Held(ROUTES, ResourceName("-"), text.encode()), text)
            spent = (await side.cpu() - before) * 1000 / WRITES
            await side.check()
        low, middle, high = statistics.quantiles([each.last for each in found], n=4)
        print(
            f"  {shape.proxies:,} proxies, {shape.services} services: write to last ACK {middle:.1f} ms "
            f"({low:.1f} .. {high:.1f}), {spent:.1f} ms CPU, {found[-1].bytes:,.0f} bytes to each"
        )


async def _changes(side: Side, turns: "count[int]") -> None:
    before = await side.cpu()
    found: list[Took] = []
    number = CHANGES if side.shape.services < MANY else CHANGES // 2
    for _ in range(number):
        turn = next(turns)
        found.append(await side.change(endpoints(0, turn), marker(turn)))
        await asyncio.sleep(0.01)
    spent = await side.cpu() - before
    last = statistics.median(each.last for each in found)
    side.changes.append(Took(spent * 1000 / number, last, found[0].bytes))


def report(shape: Shape, sides: list[Side]) -> None:
    print(f"\n{shape}")
    print(
        f"  {'':26}{'CPU ms':>8}{'last ACK':>10}{'bytes':>8}{'storm CPU':>11}{'until synced':>14}"
        f"{'connect CPU':>13}{'KiB/stream':>12}"
    )
    for side in sides:
        changes, storms = _median(side.changes), _median(side.storms)
        print(
            f"  {side.kind.name:26}{changes.cpu:>8.1f}{changes.last:>10.1f}{changes.bytes:>8.0f}{storms.cpu:>11.0f}"
            f"{storms.last:>14.0f}{side.connecting.cpu:>13.0f}{side.per_stream:>12.1f}"
        )
    for rival in sides[1:]:
        _compare(shape, sides[0], rival)


def _median(found: list[Took]) -> Took:
    first = found[0]
    medians = {name: statistics.median(getattr(each, name) for each in found) for name in ("cpu", "last", "bytes")}
    return replace(first, **medians)


def _compare(shape: Shape, side: Side, rival: Side) -> None:
    goal = GOAL_HELD if shape.services >= MANY else GOAL
    cpu, last = _ratio(side, rival, lambda each: each.cpu), _ratio(side, rival, lambda each: each.last)
    verdict = ""
    if rival.kind.name.startswith(GOAL_FOR) and shape.proxies == 1000:
        verdict = f"  goal <= {goal:.3f} {'reached' if cpu[1] <= goal else 'MISSED'}"
    print(
        f"  CPU to {rival.kind.name:24} {cpu[1]:.3f} ({cpu[0]:.3f} .. {cpu[2]:.3f}), "
        f"last ACK {last[1]:.3f} ({last[0]:.3f} .. {last[2]:.3f}){verdict}"
    )


def _ratio(side: Side, rival: Side, what: Callable[[Took], float]) -> tuple[float, float, float]:
    pairs = [what(one) / what(other) for one, other in zip(side.changes, rival.changes, strict=True)]
    low, middle, high = statistics.quantiles(pairs, n=4, method="inclusive")
    return low, middle, high


def main() -> int:
    return until_stopped(measure)


if __name__ == "__main__":
    sys.exit(main())
