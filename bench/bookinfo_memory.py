"""What Bookinfo's six processes cost without proxies: memory after some pages, and how fast they answer.

Run by ``python -m bench.bookinfo_memory``. PSS shares what the processes have in common fairly between them.
"""

import contextlib
import http.client
import time
from collections.abc import Generator
from pathlib import Path

from tests.images.programs import running

PORT = 9080
PAGES = 300
GOAL_MIB = 100


@contextlib.contextmanager
def bookinfo() -> Generator[tuple[str, dict[str, int]]]:
    """All of Bookinfo with reviews v3 behind the page; the page's address and the pids by name."""
    pids: dict[str, int] = {}
    with contextlib.ExitStack() as stack:

        def start(label: str, name: str, **env: str) -> str:
            address, process = stack.enter_context(running(f"bookinfo.{name}", PORT, env=env))
            pids[label] = process.pid
            return address

        details, ratings = start("details-v1", "details"), start("ratings-v1", "ratings")
        hosts = {"DETAILS_HOSTNAME": details, "RATINGS_HOSTNAME": ratings}
        start("reviews-v1", "reviews", **hosts)
        start("reviews-v2", "reviews", ENABLE_RATINGS="true", **hosts)
        reviews = start("reviews-v3", "reviews", ENABLE_RATINGS="true", STAR_COLOR="red", **hosts)
        page = start("productpage-v1", "productpage", REVIEWS_HOSTNAME=reviews, **hosts)
        yield page, pids


def sizes(pid: int) -> tuple[float, float]:
    """RSS and PSS in MiB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    table = dict(line.split()[:2] for line in lines if line.endswith("kB"))
    return int(table["Rss:"]) / 1024, int(table["Pss:"]) / 1024


def main() -> None:
    with bookinfo() as (page, pids):
        connection = http.client.HTTPConnection(page, PORT, timeout=30)
        begin = time.perf_counter()
        for _ in range(PAGES):
            connection.request("GET", "/productpage")
            response = connection.getresponse()
            assert response.status == 200
            response.read()
        milliseconds = (time.perf_counter() - begin) / PAGES * 1000
        connection.close()
        total = 0.0
        for name, pid in pids.items():
            rss, pss = sizes(pid)
            total += pss
            print(f"{name:15} {rss:5.1f} MiB RSS  {pss:5.1f} MiB PSS")
    print(f"{'all of them':15} {total:15.1f} MiB PSS  (goal: below {GOAL_MIB})")
    print(f"a page (four requests, one client): {milliseconds:.2f} ms")


if __name__ == "__main__":
    main()
