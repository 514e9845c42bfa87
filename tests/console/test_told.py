"""What open pages are told, and what it costs the mesh."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from meshwright.asynctools.latest import Latest
from meshwright.console.seams import MeshAwayError, Seams
from meshwright.console.told import Told


@dataclass
class Mesh:
    """Counts what is asked; a control plane that is `stopped` takes questions and never answers."""

    news: Latest[int] = field(default_factory=lambda: Latest(0))
    asked: int = 0
    drawn: int = 0
    stopped: bool = False
    away: bool = False

    async def ask(self, operation: str, fields: dict[str, Any]) -> dict[str, Any]:
        assert (operation, fields["limit"]) == ("changes", 20)
        self.asked += 1
        if self.away:
            raise MeshAwayError("it is away")
        if self.stopped:
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        return {"changes": [{"number": self.asked}]}

    def graph(self) -> dict[str, Any]:
        self.drawn += 1
        return {"nodes": [], "edges": []}

    def seams(self) -> Seams:
        return Seams(
            graph=self.graph,
            past=lambda _: {},
            requests=lambda _: [],
            news=self.news,
            ask=self.ask,
            token="t",
            mesh="test",
            ingress="",
            version="0",
            allowed_hosts=frozenset({"localhost"}),
        )


def value_of(text: str) -> dict[str, Any]:
    name, data, _, _ = text.split("\n")
    assert name.startswith("event: ")
    return json.loads(data.removeprefix("data: "))


def test_many_pages_ask_once() -> None:
    mesh = Mesh()

    async def look() -> None:
        told = Told(mesh.seams())
        for news in (1, 2):
            mesh.news.set(news)
            async with asyncio.TaskGroup() as tasks:
                pages = [tasks.create_task(told.changes()) for _ in range(9)]
            assert {value_of(page.result())["changes"][0]["number"] for page in pages} == {news}
            assert len({told.graph() for _ in range(9)}) == 1

    asyncio.run(look())
    assert (mesh.asked, mesh.drawn) == (2, 2)


@pytest.mark.parametrize("how", ["away", "stopped"])
def test_a_control_plane_that_does_not_answer_holds_up_nobody(how: str) -> None:
    mesh = Mesh(away=how == "away", stopped=how == "stopped")

    async def look() -> dict[str, Any]:
        return value_of(await Told(mesh.seams()).changes())

    assert asyncio.run(look()) == {"changes": [], "control_plane": "away"}
