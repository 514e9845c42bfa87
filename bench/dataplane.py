"""Two sidecars of meshwright against two Envoys configured by hand: throughput, latency, CPU per request.

Both pairs do the same job with the same Envoy: client application -> redirected by nftables -> client Envoy ->
TLS 1.3 between network namespaces -> redirected -> server Envoy -> server application. They take turns in one run.
`python -m bench.dataplane`; it starts what it needs and ends it again.
"""

import os
import sys
import time

from bench._load import generator
from bench._product import pair_documents, product, product_side
from bench._proof import proof
from bench._rounds import Measured, Ratio, Shape, answers, ratio, take_turns
from bench._running import until_stopped
from bench._sandbox import rival_and_direct, sandbox

# what: the bound, and whether it is the least (else the most) that the ratio may be
GOALS = {"rate": (0.95, True), "p50": (1.05, False), "p99": (1.05, False), "cpu": None}
LABELS = {"rate": "requests/s", "p50": "p50 us", "p99": "p99 us", "cpu": "proxies' CPU us/request"}
# Rounds are as short as wrk can make them and many, as what else a shared machine does comes in bursts.
SHAPES = (
    Shape("16 connections, HTTP/2 between the proxies", http2=True, connections=16, seconds=1, rounds=20),
    Shape("1 connection, HTTP/2 between the proxies", http2=True, connections=1, seconds=1, rounds=14),
    Shape("16 connections, HTTP/1.1 between the proxies", http2=False, connections=16, seconds=1, rounds=14),
    Shape("1 connection, HTTP/1.1 between the proxies", http2=False, connections=1, seconds=1, rounds=14),
)
ITSELF = (
    Shape("16 connections", http2=True, connections=16, seconds=1, rounds=8),
    Shape("1 connection", http2=True, connections=1, seconds=1, rounds=8),
)
DIRECT = Shape("direct", http2=True, connections=16, seconds=2, rounds=2)


async def measure() -> None:
    """Start both, let them take turns, print the table."""
    began = time.monotonic()
    print(f"load: {generator()}; {os.cpu_count()} cores; server application: an Envoy that answers 1 KiB")
    print("rival: two Envoys configured by hand, the least that does the same job (bench/_rival.py)")
    async with sandbox() as (holder, data), product([], pair_documents()) as mesh:
        rival, direct = await rival_and_direct(holder, data)
        ours = await product_side(mesh)
        for side in (ours, rival):
            for http2 in (True, False):
                await answers(side, http2=http2)
        for shape in SHAPES:
            found = await take_turns((ours, rival), shape)
            _print(shape, *found)
        print("\nthe rival against itself, which is what noise alone makes of a ratio (quartiles):")
        for shape in ITSELF:
            _print_itself(shape, *await take_turns((rival, rival), shape))
        _print_direct(await take_turns((direct,), DIRECT))
        for side in (ours, rival):
            print(await proof(side))
    print(f"took {time.monotonic() - began:.0f} s")


def _print(shape: Shape, ours: Measured, theirs: Measured) -> None:
    print(
        f"\n{shape.name}: {shape.rounds} pairs of rounds of {shape.seconds:g} s, medians; ratio: median of the pairs"
    )
    print(f"  {'':24} {'meshwright':>11} {'rival':>11}  {'ratio':>6}  {'quartiles of pairs':20} goal")
    for what, goal in GOALS.items():
        found = ratio(ours, theirs, what)
        spread = f"{found.low:.3f} .. {found.high:.3f}"
        figures = f"{ours.median(what):11.1f} {theirs.median(what):11.1f}  {found.median:6.3f}"
        print(f"  {LABELS[what]:24} {figures}  {spread:20} {_verdict(found, goal)}")
    if ours.failed or theirs.failed:
        counts = [f"{name} {one.failed} of {one.requests}" for name, one in (("meshwright", ours), ("rival", theirs))]
        print(f"  failed requests: {', '.join(counts)}")


def _verdict(found: Ratio, goal: tuple[float, bool] | None) -> str:
    if goal is None:
        return ""
    bound, is_least = goal
    reached = found.median >= bound if is_least else found.median <= bound
    noise = ", but the quartiles lie on both sides" if found.low < bound < found.high else ""
    return f"{'>=' if is_least else '<='} {bound} {'reached' if reached else 'MISSED'}{noise}"


def _print_itself(shape: Shape, one: Measured, other: Measured) -> None:
    ratios = {what: ratio(one, other, what) for what in GOALS}
    texts = [
        f"{LABELS[what]} {found.median:.3f} ({found.low:.3f} .. {found.high:.3f})" for what, found in ratios.items()
    ]
    print(f"  {shape.name}: {'; '.join(texts)}")


def _print_direct(measured: list[Measured]) -> None:
    [found] = measured
    values = ", ".join(f"{LABELS[what]} {found.median(what):.1f}" for what in ("rate", "p50", "p99"))
    print(f"\nwithout any proxy, {DIRECT.connections} connections: {values}")


def main() -> int:
    return until_stopped(measure)


if __name__ == "__main__":
    sys.exit(main())
