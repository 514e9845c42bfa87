"""The one thread that writes: it takes all jobs that wait, commits them together, then tells everyone."""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from meshwright.store.engine import Ledger, Upkeep
from meshwright.store.errors import StorageError
from meshwright.store.history import Change
from meshwright.store.sqlite_ledger import SqliteLedger
from meshwright.store.version import Event

T = TypeVar("T")
GROUP = 256  # jobs in one transaction at most
# after other errors of SQLite nothing is known of the transaction
OF_ONE_JOB = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError)


class _Job(Generic[T]):
    """A function to run, and the future of who waits for it."""

    def __init__(self, work: Callable[[Ledger], T], future: "asyncio.Future[T]") -> None:
        self.work = work
        self.future = future
        self.result: T | None = None
        self.error: Exception | None = None

    def run(self, ledger: Ledger) -> None:
        """Raises what the work raises."""
        self.result = self.work(ledger)

    def settle(self) -> None:
        """In the event loop: tell who waits, if he still does."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)  # pyright: ignore[reportArgumentType] - run() has set it


class _Recorder(SqliteLedger):
    """Remembers the events of the transaction, to be published after the commit."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self.events: list[Event] = []

    def append(self, events: Sequence[Event], change: Change | None) -> None:
        super().append(events, change)
        self.events.extend(events)


class SqliteWriter:
    """Runs jobs in the order they come, each whole or not at all."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        loop: asyncio.AbstractEventLoop,
        published: Callable[[Sequence[Event]], None],
        upkeep: Upkeep,
    ) -> None:
        self._connection = connection
        self._loop = loop
        self._published = published
        self._upkeep = upkeep
        self._jobs: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="store-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """After the jobs that wait already; the connection is closed then."""
        self._jobs.put(None)
        self._thread.join()
        self._connection.close()

    async def run(self, work: Callable[[Ledger], T]) -> T:
        """The result of `work`, when it is on disk. Raises what it raises, or StorageError."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(_Job(work, future))
        return await future

    # ------------------------------------------------------------ the thread
    def _work(self) -> None:
        while True:
            group, last = self._group()
            if group:
                events = self._commit(group)
                self._call(self._tell, group, events)
                if events and self._upkeep.due(events[-1].version.revision):
                    self._commit_upkeep()
            if last:
                return

    def _group(self) -> tuple[list[_Job[Any]], bool]:
        """All jobs that wait, at least one; and whether to stop after them."""
        group: list[_Job[Any]] = []
        item = self._jobs.get()
        while item is not None:
            group.append(item)
            if len(group) == GROUP:
                return group, False
            try:
                item = self._jobs.get_nowait()
            except Empty:
                return group, False
        return group, True

    def _commit(self, group: list[_Job[Any]]) -> list[Event]:
        """The events of the group, committed; where that fails, all of its jobs have failed."""
        ledger = _Recorder(self._connection)
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for job in group:
                self._run(job, ledger)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            for job in group:
                job.error = StorageError(f"not written: {error}")
            return []
        return ledger.events

    def _run(self, job: _Job[Any], ledger: _Recorder) -> None:
        """One job inside the group's transaction. Raises sqlite3.Error, which ends the whole group."""
        before = len(ledger.events)
        self._connection.execute("SAVEPOINT job")
        try:
            job.run(ledger)
        except Exception as error:
            if isinstance(error, sqlite3.Error) and not isinstance(error, OF_ONE_JOB):
                raise
            job.error = error
            del ledger.events[before:]
            self._connection.execute("ROLLBACK TO job")
        self._connection.execute("RELEASE job")

    def _commit_upkeep(self) -> None:
        """Forgetting what is over the limits; where it fails, it is said, and the next time will do."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._upkeep.keep(SqliteLedger(self._connection))
            self._connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - the writers' thread must go on; the loop's handler reports it
            self._roll_back()
            report = {"message": "the store could not forget what is old", "exception": error}
            self._call(self._loop.call_exception_handler, report)

    def _call(self, function: Callable[..., object], *args: object) -> None:
        """In the event loop, where that still runs: else nobody waits any more."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *args)

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _tell(self, group: list[_Job[Any]], events: list[Event]) -> None:
        """In the event loop: watchers first, so that who has written finds his event in the window."""
        if events:
            self._published(events)
        for job in group:
            job.settle()
