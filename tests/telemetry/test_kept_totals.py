"""Sums outlive the worker, and nothing is counted twice."""

import subprocess
import sys
from pathlib import Path

from meshwright.telemetry.exposing import exposition
from meshwright.telemetry.exposition import samples
from meshwright.telemetry.kept_totals import KEPT_SECONDS, KeptTotals
from meshwright.telemetry.totals import Totals
from tests.telemetry.test_totals import CART, FACTS, FROM_WEB, WEB, line, moved, received

HISTOGRAM = "".join(
    f'envoy_istio_request_bytes_{part}{{source="0"{bound}}} {value}\n'
    for part, bound, value in (
        ("bucket", ',le="1"', 0),
        ("bucket", ',le="+Inf"', 2),
        ("sum", "", 9),
        ("count", "", 2),
    )
)
DIES = """
import os, sys
from pathlib import Path
from tests.telemetry.test_kept_totals import *
kept = KeptTotals(Path(sys.argv[1]), Totals())
count(kept, 5, epoch="1")
count(kept, 3, pod=CART, epoch="1")
kept.flush()
count(kept, 9, epoch="1")
os.kill(os.getpid(), 9)
"""


def count(kept: KeptTotals, said: int, *, epoch: str, pod: object = WEB) -> None:
    """A proxy says what it has counted so far."""
    assert pod in (WEB, CART)
    own = WEB if pod is WEB else CART
    kept.totals.begin(own.name, epoch)
    kept.totals.take(own, samples(line(said, **FROM_WEB), "istio_"), FACTS)


def requests(totals: Totals) -> float:
    return sum(series.values[""] for series in totals.series["istio_requests_total"].values())


def test_a_worker_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    file = tmp_path / "t" / "totals.db"
    died = subprocess.run([sys.executable, "-c", DIES, str(file)], check=False)
    assert died.returncode == -9
    again = KeptTotals(file, Totals())
    assert requests(again.totals) == 8, "what was flushed"
    count(again, 11, epoch="1")
    assert requests(again.totals) == 3 + 11, "of the proxy that lives, all; of the one that is gone, what was flushed"
    again.close()


def test_a_proxy_that_began_anew_meanwhile_counts_from_nothing(tmp_path: Path) -> None:
    kept = KeptTotals(tmp_path / "totals.db", Totals())
    count(kept, 5, epoch="1")
    kept.close()
    again = KeptTotals(tmp_path / "totals.db", Totals())
    count(again, 6, epoch="2")
    assert requests(again.totals) == 11
    again.close()
    third = KeptTotals(tmp_path / "totals.db", Totals())
    count(third, 7, epoch="2")
    assert requests(third.totals) == 12
    third.totals.forget([WEB.name])
    third.close()
    fourth = KeptTotals(tmp_path / "totals.db", Totals())
    assert (requests(fourth.totals), dict(fourth.totals.proxies)) == (12, {})
    fourth.close()


def test_everything_that_is_told_is_told_again(tmp_path: Path) -> None:
    kept = KeptTotals(tmp_path / "totals.db", Totals())
    count(kept, 5, epoch="1")
    kept.totals.take(WEB, samples(HISTOGRAM, "istio_"), FACTS)
    kept.totals.lasting(WEB, [moved("a", 10), moved("b", 4)], FACTS)
    kept.flush()
    kept.totals.lasting(WEB, [moved("b", 4, "TcpConnectionEnd")], FACTS)
    kept.totals.proxies[WEB.name].read_up_to = "7:100"
    kept.totals.changes.proxies.add(WEB.name)
    text = exposition(kept.totals)
    kept.close()
    again = KeptTotals(tmp_path / "totals.db", Totals())
    assert exposition(again.totals) == text
    assert "istio_request_bytes_bucket" in text
    proxy = again.totals.proxies[WEB.name]
    assert (proxy.read_up_to, proxy.flows.keys()) == ("7:100", {"a"})
    again.totals.lasting(WEB, [moved("a", 15, "TcpConnectionEnd")], FACTS)
    assert received(again.totals) == 4 + 15
    again.close()


def test_a_series_that_has_not_grown_for_a_day_ends(tmp_path: Path) -> None:
    now = [1_000_000.0]
    kept = KeptTotals(tmp_path / "totals.db", Totals(), lambda: now[0])
    count(kept, 5, epoch="1")
    kept.close()
    now[0] += KEPT_SECONDS + 1
    again = KeptTotals(tmp_path / "totals.db", Totals(), lambda: now[0])
    assert not again.totals.series
    again.close()


def test_a_file_that_is_no_database_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "totals.db").write_bytes(b"no database" * 1000)
    kept = KeptTotals(tmp_path / "totals.db", Totals())
    count(kept, 5, epoch="1")
    kept.close()
    assert requests(KeptTotals(tmp_path / "totals.db", Totals()).totals) == 5
