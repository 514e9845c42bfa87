"""`meshwright install`: istioctl's verb, and samples by name."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from meshwright.cli.answer import JSON, give_json
from meshwright.cli.control import ask, author, give
from meshwright.cli.failure import Failure, UsageFailure
from meshwright.cli.mesh_option import data_option, local_mesh
from meshwright.cli.samples import DEFAULT, SAMPLES, Sample, texts_of
from meshwright.cli.start_notes import Notes
from meshwright.cli.start_options import Ports, start_options
from meshwright.cli.started import started
from meshwright.cli.starting import begin, console_address
from meshwright.cli.tables import table
from meshwright.processes.sandbox import Rung
from meshwright.wiring.local_mesh import PROFILES, LocalMesh, profile_texts
from meshwright.wiring.run_file import RunFile

DONE = "✔"
PROFILE = "profile"
LIVE_SECONDS = 30


@click.command("install")
@data_option
@click.argument("name", required=False, metavar="[SAMPLE]")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="profile=default, demo or minimal.")
@click.option("-y", "--skip-confirmation", "sure", is_flag=True, help="Do not ask.")
@click.option("-n", "--namespace", default=DEFAULT, show_default=True, help="Of a sample's objects.")
@click.option("--list", "listed", is_flag=True, help="Print the samples and add-ons.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Form of the answer.")
@start_options
def command(  # noqa: PLR0913, PLR0917 - one parameter per option
    data: Path | None,
    name: str | None,
    settings: Sequence[str],
    namespace: str,
    port_base: int | None,
    http_port: int | None,
    https_port: int | None,
    api_port: int | None,
    console_port: int | None,
    metrics_port: int | None,
    rung: Rung | None,
    output: str,
    *,
    sure: bool,
    listed: bool,
    single_uid: bool,
) -> None:
    """Start the mesh in the background, as `up --detach`, without any sample; or put SAMPLE into the running mesh.

    For users of istioctl: `install --set profile=demo -y`. Then `install bookinfo`, `install kiali` ...
    """
    if listed:
        _list(output)
    elif name is not None:
        _put(data, name, _sample(name, settings), namespace, output)
    else:
        ports = Ports(port_base, http_port, https_port, api_port, console_port, metrics_port)
        profile = profile_of(settings)
        run = ports.run_file(rung, profile, profile_texts(profile))
        mesh, notes = local_mesh(data), Notes(beside=output == JSON)
        _confirm(mesh, profile, notes, sure=sure)
        begun = begin(mesh, run, rung, notes, single_uid=single_uid)
        if output == JSON:
            give_json(started(mesh, begun, notes, bookinfo=False))
        else:
            _summary(mesh, run)
        begun.insist()


def _list(output: str) -> None:
    rows = [(name, sample.what) for name, sample in SAMPLES.items()]
    if output == "json":
        give_json([{"name": name, "what": what} for name, what in rows])
    else:
        click.echo(table(("NAME", "WHAT"), rows))


def profile_of(settings: Iterable[str]) -> str:
    """The profile that --set asks for. Raises UsageFailure for every other key, and for an unknown profile."""
    profile = "default"
    for setting in settings:
        key, is_set, value = setting.partition("=")
        if not is_set:
            raise UsageFailure(f"--set {setting}: write KEY=VALUE, e.g. --set profile=demo")
        if key != PROFILE:
            raise UsageFailure(
                f"--set {key}: there is no such setting; known: {PROFILE}. What istioctl takes as meshConfig.* goes "
                "into the ConfigMap istio of istio-system (kubectl edit configmap istio -n istio-system)"
            )
        if value not in PROFILES:
            raise UsageFailure(
                f"--set profile={value}: there is no such profile; known: {', '.join(sorted(PROFILES))}"
            )
        profile = value
    return profile


def _confirm(mesh: LocalMesh, profile: str, notes: Notes, *, sure: bool) -> None:
    question = f"This will install the {profile!r} profile into {mesh.data.root}. Proceed?"
    if not sure and mesh.supervisor() is None and not click.confirm(question, err=notes.beside):
        raise Failure("nothing was installed")


def _summary(mesh: LocalMesh, run: RunFile) -> None:
    click.echo(f"{DONE} Control plane installed: object API https://127.0.0.1:{run.api_port}")
    if run.profile != "minimal":
        click.echo(f"{DONE} Ingress gateway installed: http://localhost:{run.forwards[0].host_port}")
    click.echo(f"{DONE} Console installed: {console_address(mesh)}")
    click.echo(f"{DONE} Installation complete")
    click.echo("kubectl and every other client of Kubernetes find it with:")
    click.echo(f"  export KUBECONFIG={mesh.data.root / 'kubeconfig'}")


def _sample(name: str, settings: Sequence[str]) -> Sample:
    sample = SAMPLES.get(name)
    if sample is None:
        raise UsageFailure(f"there is no sample {name}; known: {', '.join(SAMPLES)} (meshwright install --list)")
    if settings:
        raise UsageFailure("--set goes with the installation of the mesh, not with a sample")
    return sample


def _put(data: Path | None, name: str, sample: Sample, namespace: str, output: str) -> None:
    texts = texts_of(sample, namespace)
    if not sample.fixed:
        texts = [*_namespace(data, namespace), *texts]
    answer = ask(data, "apply", texts=texts, author=author(), dry_run=False, wait=LIVE_SECONDS)
    for finding in answer["findings"]:
        click.echo(finding, err=True)
    give(answer, output)
    if answer["refused"]:
        raise Failure(f"{name} was not installed: its objects are refused (above)")


def _namespace(data: Path | None, namespace: str) -> list[dict[str, str]]:
    """The namespace, if it is not there."""
    there = {each["metadata"]["name"] for each in ask(data, "get", kind="namespaces")["items"]}
    if namespace in there:
        return []
    text = f"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {namespace}\n"
    return [{"file": f"namespace {namespace}", "text": text}]
