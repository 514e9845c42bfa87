"""A control plane that publishes without pause until it is killed: `python plane_process.py FOLDER FIRST-NUMBER`."""

import asyncio
import sys
from pathlib import Path

from meshwright.model.planned_pod import DesiredState
from tests.node.mesh import ControlPlane, endpoints, pod, published


async def main() -> None:
    plane, number = ControlPlane(Path(sys.argv[1])), int(sys.argv[2])
    plane.desired.set(DesiredState((pod("web"),)))
    async with plane.running():
        while True:
            number += 1
            items = tuple(endpoints(f"e{each}", f"{number}.", 20_000) for each in range(60))
            plane.published.set(published({"one": items}, {"web": "one"}, change=number))
            await asyncio.sleep(0.002)


asyncio.run(main())
