"""A database file of any age becomes one of today: numbered steps, each whole or not at all."""

import re
import sqlite3
from importlib import resources

from meshwright.store.errors import StorageError

_NAME = re.compile(r"(\d{4})_\w+\.sql\Z")


def steps() -> dict[int, str]:
    """The SQL of each step by its number, in order."""
    folder = resources.files("meshwright.store.migrations")
    found = {int(match[1]): file for file in folder.iterdir() if (match := _NAME.match(file.name))}
    return {number: found[number].read_text("utf-8") for number in sorted(found)}


def migrate(connection: sqlite3.Connection) -> None:
    """Run the steps that this file lacks. Raises StorageError where it is of a newer program, sqlite3.Error."""
    known = steps()
    has: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if has > max(known):
        raise StorageError(f"the database is of version {has}, this program knows {max(known)}: use a newer one")
    for number, sql in known.items():
        if number > has:
            connection.executescript(f"BEGIN IMMEDIATE;\n{sql}\nPRAGMA user_version = {number};\nCOMMIT;")
