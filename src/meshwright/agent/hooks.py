"""Lifecycle hooks of a container, with Kubernetes' meaning: what they do is what probes ask, without a time-out of
their own, and any HTTP answer will do.
"""

import asyncio
from contextlib import suppress

from meshwright.agent.holder_link import Session
from meshwright.agent.probes import ANY_STATUS, Prober, Verdict
from meshwright.model.names import Milliseconds
from meshwright.model.pod import Container, Hook
from meshwright.processes.holder_client import Disconnected, ProcessInfo

LEAST_GRACE = Milliseconds(2_000)
"""What a program has to end by itself, however much of its grace period its hook took (as in Kubernetes)."""


async def carry_out(hook: Hook, prober: Prober, container: Container) -> Verdict:
    """However long it takes. Raises Disconnected."""
    if hook.action is None:
        await asyncio.sleep(hook.sleep / 1000)
        return Verdict(success=True)
    return await prober.act(hook.action, container, ANY_STATUS)


async def before_end(
    hook: Hook, prober: Prober, container: Container, running: tuple[Session, ProcessInfo], grace: Milliseconds
) -> tuple[Verdict, Milliseconds]:
    """Carry out a preStop hook within `grace`; how it went, and how much is left for the program. A program that ends
    meanwhile has nothing to be prepared for any more: its hook is given up.
    """
    clock = asyncio.get_running_loop().time
    began, verdict = clock(), Verdict(success=True)
    try:
        async with asyncio.timeout(grace / 1000), asyncio.TaskGroup() as tasks:
            acting = tasks.create_task(_acting(hook, prober, container))
            ending = tasks.create_task(_ending(*running))
            await asyncio.wait((acting, ending), return_when=asyncio.FIRST_COMPLETED)
            if acting.done():
                verdict = acting.result()
            acting.cancel()
            ending.cancel()
    except TimeoutError:
        verdict = Verdict(success=False, message=f"not done within the grace period of {grace / 1000:g} s")
    left = Milliseconds(grace - round((clock() - began) * 1000))
    return verdict, max(left, min(LEAST_GRACE, grace))


async def _acting(hook: Hook, prober: Prober, container: Container) -> Verdict:
    """Without a holder nothing runs any more that a hook could prepare for its end."""
    try:
        return await carry_out(hook, prober, container)
    except Disconnected:
        return Verdict(success=True)


async def _ending(session: Session, process: ProcessInfo) -> None:
    with suppress(Disconnected):
        await session.exit_of(process)
