"""What the mesh says of itself, asked by our own commands."""

import http.client
import json
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Any, cast

from meshwright.cli.control import proxies_as_compiled
from meshwright.cli.report.draft import Draft, counted
from meshwright.cli.report.told import Told, ask
from meshwright.processes import procfs, state
from meshwright.processes.procfs import ProcessId

Json = dict[str, Any]
FAILED, LAST = "100", "200"
NAMED = 5
"""Findings of one effect that the summary names; all are in the file."""
METRICS_SECONDS = 15.0
METRICS_BYTES = 32 * 1024 * 1024


def status(report: Draft) -> str:
    """Addresses, pods, proxies, processes. Says whether the control plane answers, for the parts that come later."""
    root = report.mesh.data.root
    _processes(report)
    _settings(report)
    runs = report.mesh.supervisor() is not None
    report.plane = runs and proxies_as_compiled(report.mesh) is not None
    if runs and not report.plane:
        report.find("the control plane is away: everything goes on as it was, changes wait")
    told = _both(report, "status", ("status",))
    answer = cast("Json | None", told.json())
    if answer is None:
        report.miss("status", told.why)
        return "the mesh does not tell its status" if root.exists() else f"there is no mesh in {root}"
    for pod in answer["pods"]:
        if not pod["ready"] and pod["phase"] != "Succeeded":
            report.find(f"pod {pod['name']} is not ready: {pod['why']}")
        elif pod["restarts"]:
            report.find(f"pod {pod['name']} was restarted {_times(pod['restarts'])}")
    return f"{counted(len(answer['pods']), 'pod')}, {counted(len(answer['proxies']), 'proxy', 'proxies')}"


def _both(report: Draft, name: str, words: Sequence[str]) -> Told:
    """A command as people read it and as programs do; what was told to programs."""
    root = report.mesh.data.root
    report.text(f"{name}.txt", ask(root, words).text, f"`{' '.join(words)}`")
    told = ask(root, (*words, "-o", "json"))
    if told.json() is not None:
        report.value(f"{name}.json", told.json(), f"`{' '.join(words)} -o json`")
    return told


def _processes(report: Draft) -> None:
    """What the supervisor keeps running, and whether it does."""
    data = report.mesh.data
    kept: Json = state.read_json(data.supervisor_state)
    if report.mesh.supervisor() is None:
        report.miss("processes", f"no mesh runs in {data.root}")
        if data.logs.exists():
            report.find(f"the mesh does not run; the last word of its supervisor: {report.mesh.trouble()}")
        return
    report.value("processes.json", kept, "what the supervisor keeps running, and how often it had to start it again")
    for name, child in cast("dict[str, Json]", kept.get("children", {})).items():
        process = ProcessId(int(child["pid"]), int(child["start_time"]))
        if not procfs.alive(process):
            report.find(f"process {name} does not run")
        elif procfs.is_stopped(process):
            report.find(f"process {name} is stopped (SIGSTOP): kill -CONT {process.pid} lets it go on")
        if child["restarts"]:
            report.find(f"process {name} was started again {_times(child['restarts'])}; supervisor.log says when")


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _settings(report: Draft) -> None:
    run = report.mesh.run_file()
    if run is not None:
        kept = {**asdict(run), "texts": [each.file for each in run.texts]}
        report.value("settings.json", json.loads(json.dumps(kept, default=str)), "how `up` was called")


def analysis(report: Draft) -> str:
    """What is probably wrong; of the objects on disk while the control plane is away."""
    if report.plane:
        told = _both(report, "analyze", ("analyze",))
        ask_history(report)
    else:
        told = _analyzed_on_disk(report)
    found = cast("list[Json] | None", told.json())
    if found is None:
        report.miss("analyze", told.why)
    _proxy_status(report)
    counts = Counter(str(each["effect"]) for each in found or ())
    for effect in counts:
        mine = [each for each in found or () if each["effect"] == effect]
        for each in mine[:NAMED]:
            ref = each["object"]
            place = "/".join(filter(None, (ref["namespace"], ref["name"])))
            report.find(f"{effect}: {ref['kind']} {place}: {each['message']} ({each['code']})")
        if len(mine) > NAMED:
            report.find(f"{effect}: {len(mine) - NAMED} more in analyze.txt")
    return f"{counted(sum(counts.values()), 'finding')} of analyze"


def ask_history(report: Draft) -> None:
    """The changes with their receipts, which the control plane alone knows."""
    told = ask(report.mesh.data.root, ("history", "--limit", "200"))
    report.text("history.txt", told.text, "the last 200 changes of people, with receipts")


def _analyzed_on_disk(report: Draft) -> Told:
    from meshwright.cli.report.stored import as_list

    objects = as_list(report.mesh)
    if objects is None:
        return Told(("analyze",), 1, "", "neither the control plane nor its store can be read")
    words = ("analyze", "-f", "-", "-o", "json")
    told = ask(report.mesh.data.root, words, json.dumps(objects))
    if told.json() is not None:
        report.value("analyze.json", told.json(), "`analyze` of the objects on disk: the control plane is away")
        text = ask(report.mesh.data.root, words[:3], json.dumps(objects))
        report.text("analyze.txt", text.text, "`analyze` of the objects on disk: the control plane is away")
    return told


def _proxy_status(report: Draft) -> None:
    told = _both(report, "proxy-status", ("proxy-status",))
    answer = cast("list[Json] | None", told.json())
    if answer is None:
        report.miss("proxy-status", told.why)
        return
    for each in answer:
        if not each["connected"]:
            report.find(f"proxy {each['name']} is not connected to its machine's agent")
        elif each["synced"] is False:
            report.find(f"proxy {each['name']} does not run what is published for it; proxy-status.txt says what")
        for complaint in each["complaints"][-1:]:
            report.find(f"proxy {each['name']} complained last: {complaint['message']}")


def traffic(report: Draft) -> str:
    """The last requests, and what Prometheus would scrape."""
    root = report.mesh.data.root
    _metrics(report)
    told = ask(root, ("requests", "--limit", LAST, "-o", "json"))
    found = cast("list[Json] | None", told.json())
    if found is None:
        report.miss("requests", told.why)
        return "requests are not known"
    failed = cast("list[Json]", ask(root, ("requests", "--failed", "--limit", FAILED, "-o", "json")).json() or [])
    report.value("requests.json", [_without_query(each) for each in found], "the last requests, without queries")
    report.value("requests-failed.json", [_without_query(each) for each in failed], "the last requests that failed")
    if failed:
        last = failed[-1]
        words = f"{last['source']} -> {last.get('destination') or last.get('authority')}: {last['code']}"
        report.find(
            f"requests have failed: of the last {len(failed)} the newest is {words} ({last.get('flags', '')})"
        )
    return f"{counted(len(found), 'request')}, {len(failed)} that failed"


def _without_query(record: Json) -> Json:
    path = record.get("path")
    return {**record, "path": path.partition("?")[0]} if isinstance(path, str) else record


def _metrics(report: Draft) -> None:
    port = report.mesh.telemetry_ports().get("metrics")
    if port is None:
        report.miss("metrics", "the telemetry worker has not said on which port it serves them")
        return
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=METRICS_SECONDS)
    with closing(connection):
        try:
            connection.request("GET", "/metrics")
            body = connection.getresponse().read(METRICS_BYTES).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            report.miss("metrics", str(error))
            return
    report.text("metrics.txt", body, "/metrics, as Prometheus gets them")
