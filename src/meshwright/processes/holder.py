"""The holder: owner of the sandbox and parent of every pod process and every Envoy.

`python -m meshwright.processes.holder --data DIR --rung root` makes the namespaces, forks the holder as their first
process and returns when it serves (exit status 0; the holder goes on as a child of the caller's subreaper) or could
not be started (exit status 1, the reason on stderr). The holder does not die with whoever started it.
"""

import argparse
import asyncio
import os
import select
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from meshwright.processes import identities, network, procfs, sandbox, state, syscalls
from meshwright.processes.journal import log
from meshwright.processes.operations import Holder, Sandbox
from meshwright.processes.runplan import DEFAULT_SUBNET
from meshwright.processes.server import Server

_READY_SECONDS = 15.0
_STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Options:
    """How to run a holder. `single_uid`: do not use subordinate uids though there are some."""

    data: state.DataDirectory
    rung: sandbox.Rung
    subnet: network.Subnet
    single_uid: bool = False


def start(options: Options) -> int:
    """Start a holder and wait until it serves; its pid as the caller counts.

    The calling process is half in the new namespaces afterwards and should exit. RuntimeError or OSError with the
    reason when it does not come up.
    """
    data = options.data
    data.prepare()
    mesh = data.mesh_id()
    ready, tell = os.pipe()
    ranges = None
    if options.rung == "user" and not options.single_uid:
        ranges = identities.own_ranges()
    # Process 1 soon mounts a /proc of its own over the one that we both see, in which we would not find it.
    proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    pid = sandbox.start(options.rung, ranges, keep=(data.root.resolve(),))
    if pid == 0:
        os.close(proc)
        os.close(ready)
        os._exit(_run(options, tell))
    os.close(tell)
    started = procfs.start_time(pid, proc) or 0
    os.close(proc)
    state.write_json(data.holder_state, {"pid": pid, "start_time": started, "rung": options.rung, "mesh": mesh})
    said = _wait(ready)
    os.close(ready)
    if said != "ready":
        raise RuntimeError(said or "the holder ended before it was ready; see holder.log")
    return pid


def _wait(ready: int) -> str:
    readable, _, _ = select.select([ready], [], [], _READY_SECONDS)
    return os.read(ready, 4096).decode(errors="replace") if readable else "the holder did not become ready"


def _run(options: Options, tell: int) -> int:
    os.setsid()
    if options.rung == "loopback":
        syscalls.become_subreaper()
    try:
        asyncio.run(_serve(options, tell))
    except BaseException as error:  # noqa: BLE001 - process 1 says why before it takes everything with it
        log("the holder ends", why=f"{type(error).__name__}: {_causes(error)}")
        os.write(tell, f"{type(error).__name__}: {_causes(error)}"[:4000].encode())
        return 1
    return 0


def _causes(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return "; ".join(_causes(inner) for inner in group.exceptions)
    return str(error)


async def _serve(options: Options, tell: int) -> None:
    loop = asyncio.get_running_loop()
    isolated = options.rung != "loopback"
    plan = identities.current_plan() if isolated else identities.SINGLE
    async with asyncio.TaskGroup() as group:
        subnet = options.subnet if isolated else None
        holder = Holder(Sandbox(options.data, options.rung, subnet, plan), group)
        loop.add_signal_handler(signal.SIGCHLD, holder.children.reap)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, holder.finish.set)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        await holder.pods.prepare()
        holder.server = Server(options.data.holder_socket, holder.handle)
        serving = group.create_task(holder.server.serve(group))
        forever = [serving, group.create_task(holder.outputs.keep_small())]
        if holder.resolver:
            forever.append(group.create_task(holder.resolver.keep()))
        os.write(tell, b"ready")
        os.close(tell)
        log("the holder serves", rung=options.rung, exclusion=plan.exclusion, uids=plan.app_count or 1)
        await holder.finish.wait()
        for task in forever:
            task.cancel()
        await holder.stop_all(_STOP_SECONDS)
        for connection in list(holder.server.connections):
            connection.cut()
    options.data.holder_socket.unlink(missing_ok=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="meshwright-holder", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rung", choices=sandbox.RUNGS, required=True)
    parser.add_argument("--subnet", default=DEFAULT_SUBNET)
    parser.add_argument("--single-uid", action="store_true")
    given = parser.parse_args(argv)
    data = state.DataDirectory(given.data.resolve())
    try:
        start(Options(data, given.rung, network.Subnet.parse(given.subnet), given.single_uid))
    except (OSError, RuntimeError, ValueError) as error:
        sys.stderr.write(f"the holder could not be started: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
