"""A database file of the worker's own: what is in it may be lost, so one that cannot be read is begun anew."""

import sqlite3
from pathlib import Path


def opened(file: Path, schema: str) -> sqlite3.Connection:
    """The database with its tables; a file that is no database is taken away first."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        return _with_tables(file, schema)
    except sqlite3.DatabaseError:
        for part in file.parent.glob(f"{file.name}*"):
            part.unlink()
        return _with_tables(file, schema)


def _with_tables(file: Path, schema: str) -> sqlite3.Connection:
    database = sqlite3.connect(file)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.executescript(schema)
    except sqlite3.DatabaseError:
        database.close()
        raise
    return database
