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
        (metric_tags.parted(reporter, value), int(count))
        for tags, count in SERIES.findall(text)
        for reporter, value in TAG.findall(tags)
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


WITH_MORE = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: told-more, namespace: live}
spec:
  selector: {matchLabels: {app: told-more}}
  template:
    metadata:
      labels: {app: told-more}
      annotations:
        proxy.istio.io/config: |
          proxyStatsMatcher:
            inclusionPrefixes: [cluster.outbound]
            inclusionSuffixes: [upstream_rq_retry]
            inclusionRegexps: ['listener\\.0\\.0\\.0\\.0_15001\\..*total', '(']
    spec:
      containers:
      - {name: main, image: python, command: [sleep, "1000"]}
"""


def test_a_proxy_keeps_the_statistics_that_its_pod_asks_for(mesh: Mesh) -> None:
    applied = mesh.run("apply", "-f", "-", "--wait", stdin=WITH_MORE)
    assert "proxyStatsMatcher.inclusionRegexps[1]: " in mesh.run("analyze", "-n", "live", check=False).stdout
    try:
        pod = "deploy/told-more.live"
        mesh.eventually(lambda: is_ready(mesh, "told-more"), "the pod is ready", 60)
        mesh.ask("http://echo:8000/", pod, count=3)
        of_clusters = re.compile(
            r"^envoy_cluster\w*_upstream_rq_total\{.*outbound\|8000\|\|echo\b.*\} 3$", re.MULTILINE
        )
        of_listeners = re.compile(r'^envoy_listener_downstream_cx_total\{.*"0\.0\.0\.0_15001"\}', re.MULTILINE)
        own, usual = statistics(mesh, pod), statistics(mesh, "deploy/client.live")
        assert [len(wanted.findall(own)) for wanted in (of_clusters, of_listeners)] == [1, 1]
        assert "outbound|" not in usual
        assert not of_listeners.search(usual)
    finally:
        mesh.run("delete", "deploy/told-more", "-n", "live")
    assert applied.returncode == 0


def statistics(mesh: Mesh, pod: str) -> str:
    """What a proxy itself counts, without Istio's metrics, which have names of clusters in their tags."""
    text = mesh.one("http://127.0.0.1:15090/stats/prometheus", pod).body
    return "\n".join(line for line in text.splitlines() if not line.startswith(("#", "envoy_istio_")))


def is_ready(mesh: Mesh, deployment: str) -> bool:
    return any(pod["ready"] for pod in mesh.status()["pods"] if pod["name"].startswith(f"{deployment}-"))
