"""Records in one SQLite file: a writer thread that commits whole groups of jobs, readers beside it.

    <folder>/objects.db    0600; beside it SQLite's own -wal and -shm
    <folder>/lock          held while the store is open

A job is acknowledged after the transaction with it is on disk (`synchronous=FULL`). Jobs that wait while another
group is being committed form the next one, so that many writers share one wait for the disk.
"""

import asyncio
import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from meshwright.store.engine import Head, Ledger, Records, Upkeep
from meshwright.store.errors import StorageError
from meshwright.store.migrate import migrate
from meshwright.store.sqlite_records import SqliteRecords
from meshwright.store.sqlite_writer import SqliteWriter
from meshwright.store.version import Event

T = TypeVar("T")
READERS = 3
BUSY_SECONDS = 10
WAITING = 1_024
FILE = "objects.db"


class SqliteEngine:
    """One file, held by one process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / FILE
        self._lock = -1
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._writer: SqliteWriter | None = None
        self._room = asyncio.Semaphore(WAITING)  # more writers than this wait before they queue

    async def start(self, published: Callable[[Sequence[Event]], None], upkeep: Upkeep) -> Head:
        loop = asyncio.get_running_loop()
        try:
            connection = await loop.run_in_executor(self._readers, self._open)
        except (sqlite3.Error, OSError) as error:
            self._unlock()
            raise StorageError(f"{self._path} cannot be opened: {error}") from error
        except StorageError:
            self._unlock()
            raise
        self._writer = SqliteWriter(connection, loop, published, upkeep)
        self._writer.start()
        return await self.read(lambda records: records.head())

    def _open(self) -> sqlite3.Connection:
        """The writer's connection, on tables of today. Raises OSError, sqlite3.Error, StorageError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        self._lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StorageError(f"{self._path} is in use by another process") from None
        # SQLite gives its other files the mode of this one
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._path.chmod(0o600)
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA journal_size_limit = 16777216")
            migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _unlock(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    # ------------------------------------------------------------ reads
    async def read(self, question: Callable[[Records], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._answer, question)

    def _answer(self, question: Callable[[Records], T]) -> T:
        connection = self._connection()
        try:
            connection.execute("BEGIN")
            try:
                return question(SqliteRecords(connection))
            finally:
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise StorageError(f"{self._path} cannot be read: {error}") from error

    def _connection(self) -> sqlite3.Connection:
        """One for each reading thread."""
        mine: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if mine is None:
            mine = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS)
            mine.execute("PRAGMA query_only = TRUE")
            self._local.connection = mine
            self._connections.append(mine)
        return mine

    # ------------------------------------------------------------ writes
    async def write(self, job: Callable[[Ledger], T]) -> T:
        assert self._writer is not None, "start comes first"
        async with self._room:
            return await self._writer.run(job)

    async def close(self) -> None:
        if self._writer is not None:
            await asyncio.to_thread(self._writer.stop)
        await asyncio.to_thread(self._readers.shutdown)
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        self._unlock()
