"""What outlives the worker."""

import os
import subprocess
import sys
from pathlib import Path

from meshwright.telemetry.graph import EdgeCounts, EdgeKey
from meshwright.telemetry.history import MOST_MINUTES, MOST_RECORDS, History
from meshwright.telemetry.usage import Restarts, Usage

EDGE = EdgeKey(("shop", "web", "v1"), ("shop", "cart", "v2"), "cart.shop", "http")
DIES = """
import os, sys
from pathlib import Path
from meshwright.telemetry.history import History
history = History(Path(sys.argv[1]))
for number in range(10):
    history.keep("edge", {"number": number})
history.flush()
history.keep("edge", {"number": 10})
os.kill(os.getpid(), 9)
"""


def counts(requests: float) -> EdgeCounts:
    return EdgeCounts(requests, 1.0, requests, {"200 -": requests}, {0.5: 1.0, float("inf"): requests})


def test_minutes_are_summed_up_and_read_back(tmp_path: Path) -> None:
    history = History(tmp_path / "t" / "history.db")
    history.count(600.0, {EDGE: counts(3)})
    history.flush()
    history.count(610.0, {EDGE: counts(4)})
    history.count(1200.0, {EDGE: counts(5)})
    history.close()
    again = History(tmp_path / "t" / "history.db")
    assert again.edges(600, 659)[EDGE] == EdgeCounts(7, 2.0, 7, {"200 -": 7}, {0.5: 2.0, float("inf"): 7})
    assert again.edges(0, 2000)[EDGE].count == 12
    again.close()


def test_both_are_bounded(tmp_path: Path) -> None:
    history = History(tmp_path / "history.db")
    history.count(0.0, {EDGE: counts(1)})
    history.count(60.0 * MOST_MINUTES, {EDGE: counts(2)})
    for number in range(3 * MOST_RECORDS):
        history.keep("edge", {"number": number})
    history.flush()
    assert history.edges(0, 1e9)[EDGE].count == 2
    assert [each["number"] for _, each in history.requests()] == list(range(2 * MOST_RECORDS, 3 * MOST_RECORDS))
    history.close()


def test_requests_are_found_by_id_and_outcome(tmp_path: Path) -> None:
    history = History(tmp_path / "history.db")
    kept = [
        ("3.5", "aa-1", "200"),
        ("1.5", "aa-1", "503"),
        ("2.5", "ab-2", "0"),
        ("4.5", None, None),
        ("5", "a%", "404"),
    ]
    for time, request, code in kept:
        history.keep("edge", {"time": time, "id": request, "code": code})

    def times(most: int = 10, *, request: str = "", failed: bool = False) -> list[str]:
        return [each["time"] for each in history.find(most, request=request, failed=failed)]

    assert times() == ["5", "4.5", "3.5", "2.5", "1.5"]  # by time, not as proxies were read
    assert times(2) == ["5", "4.5"]
    assert times(request="aa-") == ["3.5", "1.5"]
    assert times(request="a") == ["5", "3.5", "2.5", "1.5"]
    assert times(request="%") == times(request="a_") == []
    assert times(failed=True) == ["2.5", "1.5"]
    assert times(request="aa-1", failed=True) == ["1.5"]
    history.close()


def test_good_requests_do_not_drive_out_errors(tmp_path: Path) -> None:
    history = History(tmp_path / "history.db")
    history.keep("bad", {"time": "1", "id": "a", "code": "503"})
    for number in range(3 * MOST_RECORDS):
        history.keep("good", {"time": str(2 + number), "id": "b", "code": "200"})
    assert [each["id"] for each in history.find(3, failed=True)] == ["a"]
    assert len(history.requests()) == MOST_RECORDS + 1
    for number in range(3 * MOST_RECORDS):
        history.keep("bad", {"time": "1", "id": str(number), "code": "0"})
    assert len(history.find(2 * MOST_RECORDS, failed=True)) == MOST_RECORDS
    history.close()


def test_a_killed_worker_loses_what_was_not_flushed(tmp_path: Path) -> None:
    file = tmp_path / "history.db"
    done = subprocess.run([sys.executable, "-c", DIES, str(file)], check=False, env=dict(os.environ))
    assert done.returncode == -9
    history = History(file)
    assert [each["number"] for _, each in history.requests()] == list(range(10))
    history.close()


def test_a_file_that_is_no_database_is_begun_anew(tmp_path: Path) -> None:
    file = tmp_path / "history.db"
    file.write_bytes(b"no database at all" * 1000)
    history = History(file)
    history.keep("edge", {"number": 1})
    history.flush()
    assert len(history.requests()) == 1
    history.close()


def test_a_container_is_all_its_processes() -> None:
    usage = Usage()
    own = os.getpid()
    usage.take({own: ("shop", "web-1", "web")}, {own: "telemetry"}, [Restarts("shop", "web-1", "web", 2)])
    text = usage.text()
    labels = '{namespace="shop",pod="web-1",container="web"}'
    assert f"container_cpu_usage_seconds_total{labels} " in text
    assert f"container_memory_working_set_bytes{labels} " in text
    assert f"kube_pod_container_status_restarts_total{labels} 2\n" in text
    assert 'process_resident_memory_bytes{process="telemetry"} ' in text
