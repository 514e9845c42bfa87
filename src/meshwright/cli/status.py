"""`meshwright status`."""

import json
from pathlib import Path
from typing import Any

import click

from meshwright.cli.addresses import addresses, pod_json
from meshwright.cli.control import proxies_as_compiled
from meshwright.cli.mesh_option import data_option, running_mesh
from meshwright.cli.pods import insist_on_pods, proxies, refusals
from meshwright.wiring.local_mesh import LocalMesh


@click.command("status")
@data_option
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Form of the answer.")
def command(data: Path | None, output: str) -> None:
    """Print what runs: addresses, rung and what it enforces, pods, proxies, memory of our own processes."""
    mesh = running_mesh(data)
    answer = _answer(mesh)
    click.echo(json.dumps(answer) if output == "json" else _text(answer))


def _answer(mesh: LocalMesh) -> dict[str, Any]:
    memory = mesh.memory()
    known = proxies_as_compiled(mesh)
    return {
        **addresses(mesh),
        "pods": [pod_json(pod) for pod in insist_on_pods(mesh)],
        "control_plane": "away" if known is None else "running",
        "proxies": [_proxy(each, known) for each in proxies(mesh)],
        "footprint": {
            "processes": len(memory),
            "mib": round(sum(memory.values()), 1),
            "by_process": {name: round(mib, 1) for name, mib in memory.items()},
        },
    }


def _proxy(told: dict[str, Any], known: dict[str, dict[str, Any]] | None) -> dict[str, Any]:
    """A proxy as its machine tells it. Without the control plane nobody knows whether something newer is there."""
    newest = (known or {}).get(told["name"], {"synced": known is None, "change": None})
    return {**told, "synced": told["synced"] and newest["synced"], "change": newest["change"]}


def _text(answer: dict[str, Any]) -> str:
    lines = [f"rung     {answer['rung']}: {answer['enforces']}", f"data     {answer['data']}"]
    lines += [f"ingress  {url}" for url in answer["ingress"].values() if url]
    lines += [f"api      {answer['api']} (kubeconfig: {answer['data']}/kubeconfig)"] if answer["api"] else []
    if answer["control_plane"] == "away":
        lines.append("control  the control plane is away: everything goes on as it is, changes wait")
    lines += [f"console  {answer['console']} (meshwright dashboard logs in)"] if answer["console"] else []
    lines += [f"metrics  {answer['prometheus']}"] if answer["prometheus"] else []
    footprint = answer["footprint"]
    lines.append(f"ours     {footprint['processes']} processes, {footprint['mib']} MiB")
    states = {each["name"]: proxy_state(each) for each in answer["proxies"]}
    width = max((len(pod["name"]) for pod in answer["pods"]), default=4)
    lines += ["", f"{'POD':{width}}  READY  PHASE       RESTARTS  PROXY"]
    for pod in answer["pods"]:
        proxy = states.get(pod["name"], "-")
        ready = "yes" if pod["ready"] else "no"
        lines.append(f"{pod['name']:{width}}  {ready:5}  {pod['phase']:10}  {pod['restarts']:8}  {proxy}")
        if not pod["ready"]:
            lines.append(f"{'':{width}}  {pod['why']}")
    return "\n".join([*lines, *refusals(answer["proxies"])])


def proxy_state(proxy: dict[str, Any]) -> str:
    """One word: refuses (something has no effect), synced, or waits."""
    if proxy["refused"]:
        return "refuses"
    return "synced" if proxy["synced"] else "waits"
