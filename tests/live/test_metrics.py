"""Envoys count what passes them: exactly, on both sides, and by whose identity."""

import re
import time

from meshwright.model import metric_tags
from tests.live.mesh import Mesh

SERIES = re.compile(r"^envoy_istio_request_duration_milliseconds_count\{(.*)\} (\d+)$", re.MULTILINE)
TAG = re.compile(r'(\w+)="([^"]*)"')
COUNT = 25
SUMMED_UP_SECONDS = 3.0
"""Longer than the time in which Envoy sums its histograms up."""


def counted(mesh: Mesh, pod: str, **wanted: str) -> int:
    """So many requests with these tags a pod's own histogram of durations has counted."""
    text = mesh.one("http://127.0.0.1:15090/stats/prometheus", pod).body
    found = [
        (metric_tags.parted(dict(TAG.findall(tags))[metric_tags.TAG]), int(value))
        for tags, value in SERIES.findall(text)
    ]
    return sum(value for tags, value in found if wanted.items() <= tags.items())


def summed_up() -> None:
    """Whatever has ended is counted."""
    time.sleep(SUMMED_UP_SECONDS)


def of_source(mesh: Mesh, code: str) -> int:
    cluster = "outbound|8000||echo.live.svc.cluster.local"
    return counted(mesh, "deploy/client.live", reporter="source", cluster=cluster, response_code=code)


def of_destinations(mesh: Mesh, code: str) -> int:
    caller = "spiffe://cluster.local/ns/live/sa/client"
    wanted = {"reporter": "destination", "response_code": code, "source_principal": caller}
    return sum(counted(mesh, f"deploy/{pod}.live", **wanted) for pod in ("echo-v1", "echo-v2"))


def test_both_sides_count_every_request_by_its_code(mesh: Mesh) -> None:
    summed_up()
    before = {code: (of_source(mesh, code), of_destinations(mesh, code)) for code in ("200", "404")}
    mesh.ask("http://echo:8000/", count=COUNT)
    mesh.ask("http://echo:8000/status/404", count=3)
    summed_up()
    after = {code: (of_source(mesh, code), of_destinations(mesh, code)) for code in ("200", "404")}
    grown = {code: tuple(now - then for now, then in zip(after[code], before[code], strict=True)) for code in after}
    assert grown == {"200": (COUNT, COUNT), "404": (3, 3)}


def test_a_header_makes_nobody_somebody_else(mesh: Mesh) -> None:
    summed_up()
    before = of_destinations(mesh, "200")
    forged = {
        "x-forwarded-for": "10.244.0.9",
        "x-forwarded-client-cert": "URI=spiffe://cluster.local/ns/live/sa/other",
    }
    mesh.ask("http://echo:8000/", count=5, headers=forged)
    summed_up()
    assert of_destinations(mesh, "200") - before == 5
    everybody = {"reporter": "destination", "source_principal": "spiffe://cluster.local/ns/live/sa/other"}
    assert sum(counted(mesh, f"deploy/{pod}.live", **everybody) for pod in ("echo-v1", "echo-v2")) == 0
