"""`meshwright proxy-status [POD]`."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from meshwright.cli.answer import give_text
from meshwright.cli.envoy import Envoy
from meshwright.cli.failure import Failure
from meshwright.cli.mesh_option import data_option, running_mesh
from meshwright.cli.pods import find_pod
from meshwright.cli.proxy_facts import SHORT, all_facts, facts_of, refusals_of, since
from meshwright.cli.tables import form, table

Json = dict[str, Any]
COLUMNS = tuple(short for short in SHORT.values() if short != "ECDS")
HEAD = ("NAME", "ROLE", "CONNECTED", "SYNCED", "CHANGE", *COLUMNS)
HIDDEN = ("content", "published", "acknowledged")


@click.command("proxy-status")
@data_option
@click.argument("pod", required=False)
@click.option("-n", "--namespace", default="default", show_default=True)
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True)
def command(data: Path | None, pod: str | None, namespace: str, output: str) -> None:
    """Print how far every Envoy is: acknowledged/sent per type, and the change that it runs.

    SYNCED: it runs all that is published for it. STALE: something is on its way. REFUSED: it refused something, and
    what it said follows. With POD: the difference between what is published for that Envoy and what it says it runs;
    exit code 1 when there is one.
    """
    mesh = running_mesh(data)
    if pod:
        _one(Envoy(mesh, find_pod(mesh, pod, namespace).name), output)
        return
    found = all_facts(mesh)
    if output != "table":
        click.echo(form([_shown(each) for each in found], output))
        return
    click.echo(table(HEAD, [_row(each) for each in found]))
    for each in found:
        for sentence in refusals_of(each):
            click.echo(sentence)
    _say_when_away(found)


def _row(facts: Json) -> Sequence[str]:
    types = facts["types"]
    cells = [_cell(types.get(short)) if facts["connected"] else "" for short in COLUMNS]
    change = "" if facts["change"] is None else str(facts["change"])
    return facts["name"], facts["role"], _connected(facts), _synced(facts), change, *cells


def _cell(state: Json | None) -> str:
    if state is None or state["state"] == "NOT SENT":
        return "NOT SENT"
    return f"{state['state']} {state['acknowledged']}/{state['sent']}"


def _connected(facts: Json) -> str:
    return "yes" if facts["connected"] else _for_how_long("no", facts["connected_since"])


def _synced(facts: Json) -> str:
    if facts["synced"] is None:
        return "as far as its machine knows"
    if facts["synced"]:
        return "yes"
    return _for_how_long("no", None if facts["synced_at_machine"] else facts["synced_since"])


def _for_how_long(word: str, moment: int | None) -> str:
    return f"{word}, for {since(moment)}" if moment is not None else word


def _say_when_away(found: Sequence[Json]) -> None:
    if any(each["synced"] is None for each in found):
        click.echo("the control plane is away: whether something newer is to come is not known", err=True)


def _shown(facts: Json) -> Json:
    return {name: value for name, value in facts.items() if name not in HIDDEN}


def _one(envoy: Envoy, output: str) -> None:
    """A proxy in full; raises Failure when something is not as it should be."""
    from meshwright.cli.proxy_difference import compare

    facts = facts_of(envoy.mesh, envoy.pod)
    if not facts["role"] and not facts["connected"]:
        raise Failure(f"{envoy.pod} has no proxy")
    if output == "table":
        click.echo(table(HEAD, [_row(facts)]) + "\n")  # at once: an Envoy that is stuck lets us wait
    compared = compare(facts, envoy.dump())
    differences = [each for kind in compared for each in kind.differences]
    if output != "table":
        value = {
            **_shown(facts),
            "differences": [{**asdict(each), "lines": list(each.lines)} for each in differences],
        }
        give_text(form(value, output))
    else:
        for kind in compared:
            if not kind.differences:
                click.echo(f"{kind.type} match: {kind.equal} as published")
            for each in kind.differences:
                _tell(each.type, each.name, each.kind, each.lines)
        for sentence in refusals_of(facts):
            click.echo(sentence)
        _say_when_away([facts])
    if differences or facts["refused"]:
        raise Failure(f"{envoy.pod} does not run what is published for it")


WORDS = {
    "missing": "published, but not in Envoy yet",
    "other": "Envoy runs another version",
    "left over": "in Envoy, but published no more; removals are held back for some seconds",
}


def _tell(kind: str, name: str, difference: str, lines: Sequence[str]) -> None:
    click.echo(f"{kind} differ: {name} ({WORDS[difference]})")
    for line in lines:
        click.echo(f"    {line}")
