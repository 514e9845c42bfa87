"""Memory: our own processes, sidecars and applications at Bookinfo, and a sidecar by the number of services.

`python -m bench.footprint`; each mesh is made by `meshwright up` and ended again. Sizes in MiB.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench._memory import APPLICATION, OWN, PROXY, Process, processes, sizes_of
from bench._product import Document, pair_documents, product, service
from bench._running import until_stopped
from bench._sandbox import rival_and_direct, sandbox

ROOT = Path(__file__).resolve().parents[1]
BOOKINFO = ("samples/bookinfo/platform/kube/bookinfo.yaml", "samples/bookinfo/networking/bookinfo-gateway.yaml")
OWN_GOAL, BOOKINFO_GOAL = 200, 150
SERVICES = (30, 300)
SETTLE_SECONDS = 3


async def measure() -> None:
    """One mesh after the other, the rival's two Envoys at the end."""
    began = time.monotonic()
    print("PSS: with the share of what is shared; USS: the process alone. MiB.")
    async with product([ROOT / file for file in BOOKINFO], profile="default") as mesh:
        await asyncio.sleep(SETTLE_SECONDS)
        found = processes(mesh.data)
        told = (await mesh.status())["footprint"]
    _print_bookinfo(found)
    print(f"meshwright status says of our own: {told['processes']} processes, {told['mib']} MiB")
    print("\nper sidecar, by the number of services (each with mutual TLS and one endpoint):")
    _print_sidecars("Bookinfo", found)
    for count in SERVICES:
        async with product([], [*pair_documents(), *_services(count - 2)]) as mesh:
            await asyncio.sleep(SETTLE_SECONDS)
            _print_sidecars(f"{count} services", processes(mesh.data))
    async with sandbox() as (holder, data):
        rival, _ = await rival_and_direct(holder, data)
        await asyncio.sleep(SETTLE_SECONDS)
        sizes = [size for pid in rival.proxies if (size := sizes_of(pid)) is not None]
    _print_row("an Envoy by hand, 2 clusters", [(pss, uss) for pss, uss, _ in sizes])
    print(f"took {time.monotonic() - began:.0f} s")


def _services(count: int) -> list[Document]:
    return [service(f"service-{number:03}") for number in range(count)]


def _print_bookinfo(found: list[Process]) -> None:
    own = [one for one in found if one.kind == OWN]
    print("\nBookinfo (productpage, details, reviews v1 v2 v3, ratings, ingress gateway)")
    for one in own:
        print(f"  {one.name:28} PSS {one.pss:6.1f}  USS {one.uss:6.1f}  RSS {one.rss:6.1f}")
    _print_sum(f"our own, {len(own)} processes", own, OWN_GOAL)
    applications = [one for one in found if one.kind == APPLICATION]
    _print_sum(f"applications, {len(applications)} processes", applications, BOOKINFO_GOAL)
    proxies = [one for one in found if one.kind == PROXY]
    _print_sum(f"Envoys, {len(proxies)} processes", proxies)


def _print_sum(name: str, found: Sequence[Process], goal: int | None = None) -> None:
    pss, uss = sum(one.pss for one in found), sum(one.uss for one in found)
    verdict = "" if goal is None else f"  goal <= {goal} {'reached' if pss <= goal else 'MISSED'}"
    print(f"  {name:28} PSS {pss:6.1f}  USS {uss:6.1f}{verdict}")


def _print_sidecars(name: str, found: Sequence[Process]) -> None:
    sidecars = [one for one in found if one.kind == PROXY and "gateway" not in one.pod]
    _print_row(name, [(one.pss, one.uss) for one in sidecars])


def _print_row(name: str, sizes: Sequence[tuple[float, float]]) -> None:
    pss, uss = (statistics.median(column) for column in zip(*sizes, strict=True))
    print(f"  {name:28} PSS {pss:6.1f}  USS {uss:6.1f}  (median of {len(sizes)})")


def main() -> int:
    return until_stopped(measure)


if __name__ == "__main__":
    sys.exit(main())
