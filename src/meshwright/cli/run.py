"""`meshwright run`: a program of the user's own becomes a workload of the mesh, with one command."""

import asyncio
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import yaml

from meshwright.agent import control_client
from meshwright.cli.answer import give_json
from meshwright.cli.control import ask, author, receipt_line
from meshwright.cli.failure import Failure, UsageFailure
from meshwright.cli.mesh_option import data_option, running_mesh
from meshwright.cli.pods import PROXY_CONTAINER, PodLine, pods
from meshwright.cli.rollout import rolled_out
from meshwright.processes.client import RemoteError
from meshwright.wiring.local_mesh import LocalMesh

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
INTERPRETERS = re.compile(r"python[0-9.]*")
ASK_SECONDS = 10
READY_SECONDS = 60.0
LIVE_SECONDS = 30
SAME = "unchanged"
LAST_LINES = 3  # of what a program said before it ended
Json = dict[str, Any]


class _Plain(yaml.SafeDumper):
    """Writes a value that occurs twice as people do: twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Awaited:
    """A Deployment, and the names of its pods that are there already and run what was before."""

    name: str
    namespace: str
    earlier: frozenset[str]


@click.command("run")
@data_option
@click.option("--port", type=click.IntRange(1, 65535), required=True, help="Where the program listens.")
@click.option("--version", default="v1", show_default=True, help="A second version of a NAME joins as a subset.")
@click.option("-n", "--namespace", default="default", show_default=True, help="Namespace of the workload.")
@click.option(
    "--protocol",
    type=click.Choice(["http", "http2", "grpc", "tcp"]),
    default="http",
    show_default=True,
    help="What it speaks.",
)
@click.option("--dry-run", is_flag=True, help="Print the objects, write nothing.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Form of the answer.")
@click.argument("name")
@click.argument("words", nargs=-1, required=True, metavar="-- CMD...")
def command(  # noqa: PLR0913, PLR0917 - one parameter per option
    data: Path | None,
    name: str,
    port: int,
    version: str,
    namespace: str,
    protocol: str,
    words: Sequence[str],
    output: str,
    *,
    dry_run: bool,
) -> None:
    """Put a program into the mesh: as Deployment NAME-VERSION behind a Service NAME, with a proxy and mutual TLS.

    The objects are printed, and written; then it waits until the program is ready and every proxy knows it. The
    program finds its port in $PORT and must listen on all addresses.
    """
    for what, text in (("NAME", name), ("--version", version)):
        if not LABEL.fullmatch(text):
            raise UsageFailure(f"{what} {text!r}: use small letters, digits and -, at most 63")
    mesh = running_mesh(data)
    own = objects(name, version, namespace, port, protocol, argv_of(words))
    versions = sorted({version, *_versions(data, name, namespace)})
    own.append(subsets(name, namespace, versions))
    text = yaml.dump_all(own, Dumper=_Plain, sort_keys=False)
    if output == "text":
        click.echo(text.rstrip())
    earlier = frozenset(pod.name for pod in _pods_of(mesh, f"{name}-{version}", namespace))
    answer = ask(
        data,
        "apply",
        texts=[{"file": f"run {name}", "text": text}],
        author=author(),
        dry_run=dry_run,
        wait=LIVE_SECONDS,
    )
    for finding in answer["findings"]:
        click.echo(finding, err=True)
    if answer["refused"]:
        raise Failure("nothing was written: the objects above are refused")
    if dry_run:
        if output == "json":
            give_json({"objects": own, "address": None, "change": None, "receipt": None})
        return
    changed = any(each["object"].startswith("Deployment ") for each in answer["objects"] if each["action"] != SAME)
    _wait(data, Awaited(f"{name}-{version}", namespace, earlier if changed else frozenset()))
    last = ask(data, "receipt", change=answer["change"] or 0, wait=LIVE_SECONDS)
    if output == "text":
        click.echo(f"---\n{receipt_line(last['receipt'], last['change'])}")
    behind = _behind(data)
    address = f"http://{name}.{namespace}:{port}"
    if output == "json":
        give_json({"objects": own, "address": address, **last})
    if behind:
        raise Failure(f"{name} {version} is ready, but not every proxy knows it yet: {', '.join(behind)}")
    if output == "text":
        click.echo(f"{name} {version} is ready: {address} inside the mesh")


def argv_of(words: Sequence[str]) -> list[str]:
    """The command with absolute paths: of the program, and of words that are files here. Raises UsageFailure."""
    program = shutil.which(words[0])
    if program is None:
        raise UsageFailure(f"there is no program {words[0]} on this machine's PATH")
    program = _interpreter(program) if INTERPRETERS.fullmatch(words[0]) else program
    rest = [str(Path(word).absolute()) if Path(word).is_file() else word for word in words[1:]]
    return [str(Path(program).absolute()), *rest]


def _interpreter(program: str) -> str:
    """The interpreter behind a name that may be a shim, which works only for its own user."""
    asked = [program, "-c", "import sys; print(sys.executable)"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=ASK_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return program
    return done.stdout.strip() or program


def objects(name: str, version: str, namespace: str, port: int, protocol: str, argv: list[str]) -> list[Json]:
    """ServiceAccount, Service and Deployment; the account is the workload's identity."""
    labels = {"app": name, "version": version}
    container = {
        "name": name,
        "image": f"local/{name}",
        "command": argv,
        "workingDir": str(Path.cwd()),
        "env": [{"name": "PORT", "value": str(port)}],
        "ports": [{"containerPort": port, "name": protocol}],
        "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
    }
    template = {"metadata": {"labels": labels}, "spec": {"serviceAccountName": name, "containers": [container]}}
    meta = {"namespace": namespace}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, **meta}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, **meta, "labels": {"app": name}},
            "spec": {"selector": {"app": name}, "ports": [{"name": protocol, "port": port, "targetPort": port}]},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": f"{name}-{version}", **meta, "labels": labels},
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
        },
    ]


def subsets(name: str, namespace: str, versions: Sequence[str]) -> Json:
    """A subset for each version, for routes to name."""
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"host": name, "subsets": [{"name": each, "labels": {"version": each}} for each in versions]},
    }


def _versions(data: Path | None, name: str, namespace: str) -> list[str]:
    """The versions that run already."""
    found = ask(data, "get", kind="deployments", namespace=namespace)["items"]
    labels: list[Json] = [each["spec"]["template"]["metadata"].get("labels", {}) for each in found]
    return [each["version"] for each in labels if each.get("app") == name and each.get("version")]


def _wait(data: Path | None, awaited: Awaited) -> None:
    """Until the Deployment runs what it says now. Raises Failure with the reason why it does not."""
    mesh, end, seen = running_mesh(data), time.monotonic() + READY_SECONDS, list[PodLine]()
    while time.monotonic() < end:
        if _is_rolled_out(data, awaited):
            return
        mine = _pods_of(mesh, awaited.name, awaited.namespace)
        seen = [pod for pod in mine if pod.name not in awaited.earlier]
        if any(pod.settled and not pod.ready for pod in seen):
            break
        time.sleep(0.2)
    why = "; ".join(pod.why for pod in seen) or "no pod was made"
    said = "".join(f"\n  {line}" for pod in seen[:1] for line in _last_words(mesh, pod))
    heard = f"; it said last:{said}\n" if said else " "
    more = f"meshwright logs deploy/{awaited.name} -n {awaited.namespace}"
    raise Failure(f"{awaited.name} is not ready: {why}{heard}({more})")


def _is_rolled_out(data: Path | None, awaited: Awaited) -> bool:
    """Every pod that the Deployment wants is of its present template and ready, and no other one is left."""
    found = ask(data, "get", kind="deployments", namespace=awaited.namespace)["items"]
    return any(rolled_out(each)[0] for each in found if each["metadata"]["name"] == awaited.name)


def _behind(data: Path | None) -> list[str]:
    """The proxies that do not run all that is published, endpoints included, although they were waited for."""
    end = time.monotonic() + LIVE_SECONDS
    while True:
        known: list[Json] = ask(data, "proxies")["proxies"]
        behind = [each["name"] for each in known if each["connected"] and not each["synced"]]
        if not behind or time.monotonic() > end:
            return behind
        time.sleep(0.1)


def _last_words(mesh: LocalMesh, pod: PodLine) -> list[str]:
    """The last lines that a pod's program wrote."""
    try:
        files = asyncio.run(control_client.log_files(mesh.data.root, pod.name, ""))
    except (RemoteError, OSError):
        return []
    own = [path for name, path in files.items() if name != PROXY_CONTAINER]
    try:
        return own[0].read_text(errors="replace").rstrip().splitlines()[-LAST_LINES:] if own else []
    except OSError:
        return []


def _pods_of(mesh: LocalMesh, deployment: str, namespace: str) -> list[PodLine]:
    return [pod for pod in pods(mesh) if _is_of(pod, deployment, namespace)]


def _is_of(pod: PodLine, deployment: str, namespace: str) -> bool:
    name, _, space = pod.name.rpartition(".")
    return space == namespace and name.rsplit("-", 2)[0] == deployment
