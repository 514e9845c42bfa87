"""`meshwright bug-report`: one archive with what somebody needs who is to find out what is wrong."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import click

from meshwright.cli.answer import give_json
from meshwright.cli.failure import Failure, UsageFailure
from meshwright.cli.mesh_option import data_option, insist_on_access, local_mesh
from meshwright.cli.progress import step

SUFFIXES = (".tar.gz", ".tgz")
KIB = 1024
SHOWN = 12
"""Findings in the terminal; the summary has all."""


@click.command("bug-report")
@data_option
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--output-dir", type=click.Path(file_okay=False, path_type=Path), help="Folder for the archive.")
@click.option("--include", multiple=True, metavar="NS[/POD],...", help="Only these namespaces, or pods (* fits all).")
@click.option("--exclude", multiple=True, metavar="NS[/POD],...", help="Without these.")
@click.option("--app-logs", is_flag=True, help="Also the output of applications, which may hold anything.")
@click.option(
    "--log-kib", type=click.IntRange(0, 1024 * KIB), default=1024, show_default=True, help="Of each log the last KiB."
)
@click.option("--dry-run", is_flag=True, help="Say what would be collected, and collect nothing.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Form of the answer.")
def command(  # noqa: PLR0913, PLR0917 - one parameter per option
    data: Path | None,
    path: Path | None,
    output_dir: Path | None,
    include: Sequence[str],
    exclude: Sequence[str],
    log_kib: int,
    output: str,
    *,
    app_logs: bool,
    dry_run: bool,
) -> None:
    """Write an archive for whoever is to find out what is wrong: PATH is a .tar.gz, or a folder for it.

    Inside: versions, checks of the machine, status, objects, changes, findings of analyze, what each Envoy runs and
    has counted, the last requests, the ends of logs, and index.html, which says what was found. Keys, tokens,
    passwords and the data of Secrets are taken out. What does not answer is named and left out: it works with a
    broken mesh, and without one.
    """
    from meshwright.cli.report import pages
    from meshwright.cli.report.archive import Archive
    from meshwright.cli.report.collecting import PARTS
    from meshwright.cli.report.draft import Draft
    from meshwright.cli.report.knowing import scrubber
    from meshwright.cli.report.selection import Selection

    mesh = local_mesh(data)
    insist_on_access(mesh)
    target = _target(path, output_dir)
    if dry_run:
        _say_what_would_be(target, output)
        return
    try:
        with Archive(target) as archive:
            selection = Selection.of(include, exclude)
            draft = Draft(mesh, archive, scrubber(mesh), selection, log_kib * KIB, app_logs)
            for part in PARTS:
                with step(part.name, err=output == "json") as current:
                    current.outcome = part.collect(draft)
            size = archive.finish(pages.covers(draft, time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())))
    except OSError as error:
        raise Failure(
            f"the archive {target} cannot be written: {error.strerror or error}; name another place"
        ) from None
    if output == "json":
        answer = {"path": str(target), "bytes": size, **json.loads(pages.listing(draft, ""))}
        give_json({name: member for name, member in answer.items() if name != "created"})
        return
    _tell_findings(draft.found, [f"{each.what}: {each.why}" for each in draft.missing])
    click.echo(f"{target} ({_size(size)}, {len(archive.files)} files; begin with index.html or summary.txt in it)")


def _target(path: Path | None, folder: Path | None) -> Path:
    """Where the archive goes. Raises UsageFailure."""
    if path is not None and folder is not None:
        raise UsageFailure("PATH and --output-dir mean the same: name one")
    name = time.strftime("meshwright-bug-report-%Y%m%dT%H%M%SZ.tar.gz", time.gmtime())
    chosen = path or folder or Path()
    if folder is None and chosen.name.endswith(SUFFIXES) and not chosen.is_dir():
        target = chosen
    elif chosen.is_dir() or folder is not None:
        target = chosen / name
    else:
        raise UsageFailure(f"{chosen} is neither a folder nor the name of an archive ({' or '.join(SUFFIXES)})")
    if not target.parent.is_dir():
        raise UsageFailure(f"there is no folder {target.parent}")
    if target.exists():
        raise UsageFailure(f"{target} exists already: remove it, or choose another name")
    return target.absolute()


def _say_what_would_be(target: Path, output: str) -> None:
    from meshwright.cli.report.collecting import PARTS

    if output == "json":
        parts = [{"name": part.name, "about": part.about} for part in PARTS]
        give_json({"path": str(target), "parts": parts})
        return
    for part in PARTS:
        click.echo(f"  {part.name:9} {part.about}")
    click.echo(f"would be written: {target} (dry run)")


def _tell_findings(found: Sequence[str], missing: Sequence[str]) -> None:
    for title, sentences in (("found", found), ("could not be had", missing)):
        for sentence in sentences[:SHOWN]:
            click.echo(f"{title}: {sentence}")
        if len(sentences) > SHOWN:
            click.echo(f"{title}: {len(sentences) - SHOWN} more, see summary.txt")


def _size(count: int) -> str:
    return f"{count / KIB / KIB:.1f} MiB" if count >= KIB * KIB else f"{max(1, round(count / KIB))} KiB"
