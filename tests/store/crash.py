"""A store whose process is killed again and again: `python -m tests.store.crash FOLDER POINTS SEED`.

Each round forks a writer that tells every acknowledged write through a pipe, kills it at a random moment, and looks
into what is left. Prints one line of JSON: how many acknowledgements there were, and what was found wrong.
"""

import asyncio
import json
import os
import random
import select
import signal
import sqlite3
import sys
import time
from pathlib import Path

from meshwright.store.limits import Limits
from meshwright.store.names import Author, Key, Owner
from meshwright.store.sources import system_sources
from meshwright.store.sqlite_engine import SqliteEngine
from meshwright.store.store import Store
from meshwright.store.writes import Create, Delete, SetCondition, Update
from tests.store.objects import key, value

WRITERS = 4
LIMITS = Limits(events=150, changes=100)
LONGEST_LIFE = 0.06  # seconds; from its start, so that some die while they open the files, or from the first write
HANG = 20
ME = Author("crash")
LOST = -1  # instead of a step: the store has forgotten something
Acknowledged = dict[int, tuple[int, int]]  # by writer: the last step and its revision


async def write_for_ever(folder: Path, pipe: int, acknowledged: Acknowledged) -> None:
    store = await Store.open(SqliteEngine(folder), system_sources(), LIMITS)
    async with asyncio.TaskGroup() as tasks:
        for number in range(WRITERS):
            tasks.create_task(writer(store, number, pipe, acknowledged.get(number, (0, 0))[0]))


async def writer(store: Store, number: int, pipe: int, least: int) -> None:
    """Two objects that always say the same, one that comes and goes, and a condition.

    Those of the writer killed before must say `least` at least.
    """
    pair = (key(f"left-{number}"), key(f"right-{number}"))
    guest = key(f"guest-{number}")
    step = await start(store, pair)
    if step < least:
        os.write(pipe, b"%d %d %d\n" % (number, LOST, step))
    while True:
        step += 1
        guest_write = Create(guest, value(step)) if await store.find(guest) is None else Delete(guest)
        said = SetCondition(pair[0], Owner("me"), {"type": "Step", "status": str(step)})
        done = await store.transact([*(Update(at, value(step)) for at in pair), guest_write, said], ME)
        os.write(pipe, b"%d %d %d\n" % (number, step, done.revision))


async def start(store: Store, pair: tuple[Key, Key]) -> int:
    found = await store.find(pair[0])
    if found is not None:
        return found.value()["spec"]["x"]
    await store.transact([Create(at, value(0)) for at in pair], ME)
    return 0


def live_and_die(
    folder: Path, life: float, acknowledged: Acknowledged, *, from_first_write: bool
) -> list[tuple[int, int, int]]:
    """What one writer process had acknowledged when it was killed."""
    reader, pipe = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            asyncio.run(write_for_ever(folder, pipe, acknowledged))
        finally:
            os._exit(1)
    os.close(pipe)
    if from_first_write:
        select.select([reader], [], [], HANG)
    time.sleep(life)
    os.kill(child, signal.SIGKILL)
    with os.fdopen(reader, "rb") as stream:
        lines = stream.read().splitlines()
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the writer ended by itself"
    found = [line.split() for line in lines]
    return [(int(number), int(step), int(revision)) for number, step, revision in found]


RULES = {
    "events without a gap": "SELECT (SELECT count(*) FROM versions, counters WHERE versions.revision > compacted) "
    "IS NOT (SELECT revision - compacted FROM counters)",
    "the newest event is the counter": "SELECT 1 FROM versions, counters WHERE versions.revision > counters.revision",
    "bodies of versions": "SELECT count(*) FROM versions WHERE body NOT IN (SELECT revision FROM bodies)",
    "statuses of versions": "SELECT count(*) FROM versions WHERE status NOT IN (SELECT revision FROM statuses)",
    "bodies of differences": "SELECT count(*) FROM differences WHERE before NOT IN (SELECT revision FROM bodies) "
    "OR after NOT IN (SELECT revision FROM bodies)",
    "every step says what it replaced": "SELECT count(*) FROM versions v, counters LEFT JOIN versions p "
    "ON p.revision = v.previous WHERE v.revision > compacted AND v.previous IS NOT NULL "
    "AND p.replaced IS NOT v.revision",
    "newest bodies are not replaced": "SELECT count(*) FROM versions v JOIN bodies b ON b.revision = v.body "
    "WHERE (v.replaced IS NULL) AND b.replaced IS NOT NULL",
    "changes without a gap": "SELECT count(*) FROM changes HAVING max(number) IS NOT (SELECT change FROM counters) "
    "OR count(*) != max(number) - min(number) + 1",
    "nothing is left behind": "SELECT count(*) FROM bodies, counters WHERE replaced <= compacted "
    "AND bodies.revision NOT IN (SELECT before FROM differences WHERE before IS NOT NULL) "
    "AND bodies.revision NOT IN (SELECT after FROM differences WHERE after IS NOT NULL)",
}
STEPS = (
    "SELECT v.name, json_extract(b.text, '$.spec.x') FROM versions v JOIN bodies b ON b.revision = v.body "
    "WHERE v.replaced IS NULL"
)


def wrong(folder: Path, acknowledged: Acknowledged) -> list[str]:
    """What is not as it must be in the files that were left."""
    if not acknowledged:
        return []
    connection = sqlite3.connect(folder / "objects.db", isolation_level=None)
    try:
        found = [name for name, sql in RULES.items() if any(row[0] for row in connection.execute(sql))]
        if connection.execute("PRAGMA quick_check").fetchone() != ("ok",):
            found.append("the file")
        revision: int = connection.execute("SELECT revision FROM counters").fetchone()[0]
        steps = dict(connection.execute(STEPS).fetchall())
    finally:
        connection.close()
    for number, (step, acknowledged_at) in acknowledged.items():
        left, right = steps.get(f"left-{number}"), steps.get(f"right-{number}")
        if left is None or left != right:
            found.append(f"writer {number}: half a transaction, {left} and {right}")
        elif left < step or revision < acknowledged_at:
            found.append(
                f"writer {number}: {step} was acknowledged at {acknowledged_at}, {left} is there at {revision}"
            )
    return found


def main() -> None:
    folder, points, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    dice = random.Random(seed)
    acknowledged: Acknowledged = {}
    total, productive = 0, 0
    found: list[str] = []
    for point in range(points):
        life = dice.uniform(0.005, LONGEST_LIFE)
        told = live_and_die(folder, life, acknowledged, from_first_write=point % 4 > 1)
        found += (f"kill {point}: writer {number} finds {at}" for number, step, at in told if step == LOST)
        total += len(told)
        productive += bool(told)
        acknowledged |= {number: (step, revision) for number, step, revision in told if step != LOST}
        if point % 2:  # else the next store finds the files as they were left
            continue
        found += (f"kill {point}: {item}" for item in wrong(folder, acknowledged))
    print(json.dumps({"acknowledged": total, "productive": productive, "wrong": found}))


if __name__ == "__main__":
    main()
