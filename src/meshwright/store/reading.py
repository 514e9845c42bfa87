"""The store's file read by another process than the one that holds it: also while nobody does."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from meshwright.store.engine import Records
from meshwright.store.errors import StorageError
from meshwright.store.sqlite_engine import FILE
from meshwright.store.sqlite_records import SqliteRecords

BUSY_SECONDS = 5.0


@contextmanager
def records_on_disk(folder: Path) -> Generator[Records]:
    """One consistent state of the store in `folder`; nothing is written. Raises StorageError."""
    path = folder / FILE
    if not path.exists():
        raise StorageError(f"there is no {path}")
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
    except sqlite3.Error as error:
        raise StorageError(f"{path} cannot be opened: {error}") from error
    try:
        connection.isolation_level = None
        connection.execute("BEGIN")
        yield SqliteRecords(connection)
    except sqlite3.Error as error:
        raise StorageError(f"{path} cannot be read: {error}") from error
    finally:
        connection.close()
