"""`meshwright analyze`: what is probably wrong; of a running mesh, or of files without mesh and privilege."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from meshwright.cli.control import ask
from meshwright.cli.failure import UsageFailure
from meshwright.cli.mesh_option import data_option
from meshwright.cli.sources import read_texts
from meshwright.documents.render import JsonFinding

EFFECTS = ("noted", "dropped", "denied", "refused")
THRESHOLDS = {
    "note": "noted", "info": "noted", "warning": "noted", "error": "dropped", "dropped": "dropped",
    "denied": "denied", "refused": "refused",
}  # fmt: skip
"""Words of --failure-threshold (Istio's too) -> the mildest effect that fails the command."""


@click.command("analyze")
@data_option
@click.option(
    "-f",
    "--filename",
    "names",
    multiple=True,
    metavar="PATH",
    help="Look at documents, not at a running mesh: files, folders, - for standard input.",
)
@click.option("-n", "--namespace", metavar="NS", help="Only objects of this namespace, and those of none.")
@click.option("-A", "--all-namespaces", is_flag=True, help="Objects of all namespaces, as without -n.")
@click.option(
    "-o", "--output", type=click.Choice(["table", "json", "sarif"]), default="table", help="Form of the answer."
)
@click.option(
    "--failure-threshold",
    "threshold",
    type=click.Choice([*THRESHOLDS], case_sensitive=False),
    default="dropped",
    show_default=True,
    help="Fail with 1 from this effect on.",
)
@click.option(
    "-S",
    "--suppress",
    "suppressed",
    multiple=True,
    metavar="CODE='KIND NAME.NS'",
    help="Say nothing of this code (ours or Istio's, or *) about these objects; * stands for any letters.",
)
def command(  # noqa: PLR0913, PLR0917 - one parameter per option
    data: Path | None,
    names: Sequence[str],
    namespace: str | None,
    all_namespaces: bool,  # noqa: FBT001 - a flag
    output: str,
    threshold: str,
    suppressed: Sequence[str],
) -> None:
    """Print what is probably wrong, each finding with its object, field, line and what to do.

    With -f (files, folders, - for a piped `kubectl get -A -o yaml` List) no mesh and no privilege is needed. An
    object's annotation galley.istio.io/analyze-suppress: CODE,CODE keeps findings about it quiet.
    """
    if namespace is not None and all_namespaces:
        raise UsageFailure("-n and -A exclude each other")
    found = _offline(names) if names else ask(data, "analyze")["findings"]
    found = _told(found, suppressed, None if all_namespaces else namespace)
    click.echo(_form(found, output))
    limit = EFFECTS.index(THRESHOLDS[threshold])
    if any(EFFECTS.index(finding["effect"]) >= limit for finding in found):
        raise click.exceptions.Exit(1)


def _offline(names: Sequence[str]) -> list[JsonFinding]:
    texts = read_texts(names)
    from meshwright.documents.render import as_json
    from meshwright.wiring.analysis import offline_findings
    from meshwright.wiring.loading import load

    loaded = load((each.file, each.text) for each in texts)
    for sentence in loaded.catalogue_errors:
        click.echo(sentence, err=True)
    return [as_json(each, loaded.lines) for each in offline_findings(loaded)]


def _told(found: Sequence[JsonFinding], suppressed: Sequence[str], namespace: str | None) -> list[JsonFinding]:
    from meshwright.analyzers.suppression import Rule
    from meshwright.model.origin import ObjectRef

    rules: list[Rule] = []
    for word in suppressed:
        code, equals, pattern = word.partition("=")
        if not equals or not pattern.strip():
            raise UsageFailure(f"-S {word!r}: write CODE='KIND NAME.NAMESPACE'")
        rules.append(Rule(code.strip(), pattern.strip()))
    kept: list[JsonFinding] = []
    for finding in found:
        ref = ObjectRef(**finding["object"])
        quiet = any(rule.covers(finding["code"], finding["istio"] or "", ref) for rule in rules)
        if not quiet and (namespace is None or ref.namespace in ("", namespace)):
            kept.append(finding)
    return kept


def _form(found: Sequence[JsonFinding], output: str) -> str:
    if output == "json":
        return json.dumps(found, indent=2)
    if output == "sarif":
        from meshwright.cli.sarif import sarif

        return json.dumps(sarif(found), indent=2)
    return _table(found)


def _table(found: Sequence[JsonFinding]) -> str:
    """A head of columns for each finding, and below it what is wrong and what to do; the gravest effect first."""
    ranked = sorted(found, key=lambda each: -EFFECTS.index(each["effect"]))
    heads = [(each["effect"], _code(each), _object(each), _place(each)) for each in ranked]
    widths = [max((len(head[column]) for head in heads), default=0) for column in range(4)]
    lines: list[str] = []
    for head, each in zip(heads, ranked, strict=True):
        cells = (cell.ljust(width) for cell, width in zip(head, widths, strict=True))
        path = f"{each['path']}: " if each["path"] else ""
        lines += ["   ".join(cells).rstrip(), f"    {path}{each['message']}", f"    fix: {each['fix']}"]
    counted = Counter(each["effect"] for each in ranked)
    counts = ", ".join(f"{counted[effect]} {effect}" for effect in reversed(EFFECTS) if counted[effect])
    noun = "finding" if len(ranked) == 1 else "findings"
    lines.append(f"{len(ranked)} {noun}: {counts}" if ranked else "nothing found")
    return "\n".join(lines)


def _code(finding: JsonFinding) -> str:
    return f"{finding['code']} ({finding['istio']})" if finding["istio"] else finding["code"]


def _object(finding: JsonFinding) -> str:
    ref = finding["object"]
    return f"{ref['kind']} {ref['namespace']}/{ref['name']}" if ref["namespace"] else f"{ref['kind']} {ref['name']}"


def _place(finding: JsonFinding) -> str:
    return f"{finding['file']}:{finding['line']}" if finding["file"] is not None else ""
