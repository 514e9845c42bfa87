"""The holder's care for its DNS child: start it, hand it the table, start it again when it ends."""

import asyncio
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

from meshwright.processes import launcher, mounts
from meshwright.processes.children import Children
from meshwright.processes.identities import UidPlan
from meshwright.processes.journal import log
from meshwright.processes.messages import BadRequest
from meshwright.processes.sandbox import INSIDE
from meshwright.processes.state import MARKER, DataDirectory

POD = "_sandbox"
_NAME = "dns"
_ANSWER_SECONDS = 5.0
_LONGEST_PAUSE = 2.0


class Resolver:
    """One DNS server at `address`:53 in the sandbox's own network namespace, and the newest table."""

    def __init__(self, data: DataDirectory, address: str, plan: UidPlan, children: Children) -> None:
        self._data = data
        self._address = address
        self._plan = plan
        self._children = children
        self._table: dict[str, Any] = {"zones": ["cluster.local"], "names": {}}
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._turn = asyncio.Lock()

    async def replace_table(self, table: dict[str, Any]) -> None:
        """Give the server a new table; returns when it answers from it. BadRequest when it does not take it."""
        self._table = table
        async with self._turn:
            if self._streams is None:
                return  # it gets the newest table when it comes up
            refusal = await self._hand_over(self._streams)
        if refusal:
            raise BadRequest(f"DNS table: {refusal}")

    async def _hand_over(self, streams: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> str:
        reader, writer = streams
        try:
            writer.write(json.dumps(self._table).encode() + b"\n")
            await writer.drain()
            async with asyncio.timeout(_ANSWER_SECONDS):
                answer = await reader.readline()
        except (OSError, TimeoutError):
            return ""  # it ends or has ended; its successor gets the table
        return str(json.loads(answer).get("error", "")) if answer else ""

    async def keep(self) -> None:
        """Run the server for ever."""
        pause = 0.05
        loop = asyncio.get_running_loop()
        while True:
            begun = loop.time()
            try:
                await self._run_once()
            except (BadRequest, OSError, ValueError) as error:
                log("the DNS server could not be kept", why=f"{type(error).__name__}: {error}")
            pause = 0.05 if loop.time() - begun > 5 else min(pause * 2, _LONGEST_PAUSE)
            await asyncio.sleep(pause)

    async def _run_once(self) -> None:
        ours, theirs = socket.socketpair()
        try:
            output = os.open(
                self._data.logs / "dns.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
            )
            try:
                child = self._children.start(POD, _NAME, "dns", self._launch(theirs.fileno(), output))
            finally:
                os.close(output)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            async with self._turn:
                refusal = await self._hand_over((reader, writer))
                self._streams = (reader, writer)
            if refusal:
                log("the DNS server refused its table", why=refusal)
            await child.ended.wait()
        finally:
            self._streams = None
            writer.close()

    def _launch(self, channel: int, output: int) -> launcher.Launch:
        uid = self._plan.resolver
        view = mounts.view_for(
            os.geteuid() if uid is None else uid,
            launcher.our_programs(),
            [mounts.Bind(self._data.upstream, INSIDE)],
            hidden=(Path(os.path.realpath(self._data.root)),),
        )
        program = (sys.executable, "-m", "meshwright.processes", "dns")
        options = (self._address, str(channel), str(INSIDE / self._data.upstream_socket.name))
        return launcher.Launch(
            argv=(*program, *options),
            env={
                "PATH": launcher.DEFAULT_PATH,
                "PYTHONPATH": str(launcher.package_root()),
                MARKER: self._data.mesh_id(),
            },
            streams=(None, output, output),
            view=view,
            uid=uid,
            inherit=(channel,),
        )
