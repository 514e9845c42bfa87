"""Looks at a proxy that answers on its admin socket: what is counted, and what is shown as of now."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path

from meshwright.telemetry.gathering import Gathering, Place
from meshwright.telemetry.graph import TrafficWindow
from meshwright.telemetry.history import History
from meshwright.telemetry.kept_totals import KeptTotals
from meshwright.telemetry.records import RequestRing
from meshwright.telemetry.totals import Totals
from tests.telemetry.test_totals import FACTS, FROM_WEB, WEB, line


class Envoy:
    """Answers every question with its counters; `said` requests so far."""

    def __init__(self, folder: Path) -> None:
        self.place = Place(folder / "admin.sock", folder / "requests.log", folder / "flows.log")
        self.said = 0

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + line(self.said, **FROM_WEB).encode())
        await writer.drain()
        writer.close()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        async with await asyncio.start_unix_server(self._answer, self.place.admin_socket):
            yield
        self.place.admin_socket.unlink(missing_ok=True)


class Worker:
    """Everything but the servers."""

    def __init__(self, folder: Path, envoy: Envoy) -> None:
        self.kept = KeptTotals(folder / "totals.db", Totals())
        self.window = TrafficWindow()
        self.history = History(folder / "history.db")
        self.gathering = Gathering(
            self.kept, self.window, lambda: FACTS, lambda: {WEB.name: envoy.place}, RequestRing(), self.history
        )

    def counted(self) -> float:
        return sum(series.values[""] for series in self.kept.totals.series["istio_requests_total"].values())

    def shown(self, now: float) -> float:
        return sum(counts.count for counts in self.window.edges(now)[0].values())

    def close(self) -> None:
        self.history.close()
        self.kept.close()


def test_a_new_worker_counts_what_it_missed_and_does_not_show_it_as_now(tmp_path: Path) -> None:
    asyncio.run(_missed(tmp_path))


async def _missed(folder: Path) -> None:
    envoy = Envoy(folder)
    async with envoy.running():
        first = Worker(folder, envoy)
        envoy.said = 5
        await first.gathering.round(10.0, everything=False)
        assert (first.counted(), first.shown(10.0)) == (5, 5)
        first.close()
        envoy.said = 100
        second = Worker(folder, envoy)
        await second.gathering.round(100.0, everything=False)
        assert (second.counted(), second.shown(100.0)) == (100, 0)
        envoy.said = 103
        await second.gathering.round(102.0, everything=False)
        assert (second.counted(), second.shown(102.0)) == (103, 3)
        second.close()
        again = History(folder / "history.db")
        assert sum(counts.count for counts in again.edges(0, 1e12).values()) == 103
        again.close()


def test_an_envoy_that_starts_anew_counts_from_nothing(tmp_path: Path) -> None:
    asyncio.run(_anew(tmp_path))


async def _anew(folder: Path) -> None:
    envoy = Envoy(folder)
    worker = Worker(folder, envoy)
    for said in (5, 7):  # the second process has counted more than the first had
        envoy.said = said
        async with envoy.running():
            await worker.gathering.round(10.0, everything=False)
    assert worker.counted() == 12
    worker.close()
