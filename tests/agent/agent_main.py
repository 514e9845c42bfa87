"""An agent as a process of its own: `python -m tests.agent.agent_main DATA RUNG NUMBER` wants pods p2 .. pNUMBER."""

import asyncio
import sys
from pathlib import Path

import uvloop

from meshwright.agent.settings import Rung
from tests.agent.mesh import pod, settings, wired


async def main(data: Path, rung: Rung, last: int) -> None:
    async with wired(settings(data, rung)) as made:
        made.want(*(pod(f"p{number}", number) for number in range(2, last + 1)))
        await made.agent.adopt()
        print("adopted", sum(status.ready for status in made.agent.statuses.value.values()), flush=True)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(made.agent.run())
            await made.ready(*(f"p{number}" for number in range(2, last + 1)))
            print("ready", flush=True)


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), Rung(sys.argv[2]), int(sys.argv[3])))
