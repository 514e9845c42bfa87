"""`meshwright wait`."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from meshwright.cli.answer import give_json
from meshwright.cli.control import ask, split_name
from meshwright.cli.failure import Failure, UsageFailure
from meshwright.cli.mesh_option import data_option
from meshwright.cli.rollout import PLURALS, wait_for_pods

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
_MILLISECONDS = {"ms": 1, "s": 1000, None: 1000, "m": 60_000, "h": 3_600_000}


@click.command("wait")
@data_option
@click.argument("words", nargs=-1, required=True, metavar="KIND/NAME")
@click.option("-n", "--namespace", default="default", show_default=True)
@click.option(
    "--timeout", default="30s", show_default=True, metavar="DURATION", help="How long at most: 500ms, 10s, 2m."
)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Form of the answer.")
def command(data: Path | None, words: Sequence[str], namespace: str, timeout: str, output: str) -> None:
    """Wait until an object is in effect, as it is written, at every connected proxy that it concerns. For a
    Deployment, a StatefulSet or a pod: until all its pods are ready.

    When it is not in time, the answer names the proxies that do not run it yet, or what is wrong with the object, and
    the exit code is 1.
    """
    kind, name = split_name(words)
    if not kind or not name:
        raise UsageFailure("name an object: KIND/NAME")
    answer = _answer(data, kind, name, namespace, milliseconds(timeout))
    if output == "json":
        give_json(answer)
    elif answer["live"]:
        click.echo(f"{answer['object']}: {answer['message']}")
    if not answer["live"]:
        place = f"{answer['place']}: " if answer["place"] else ""
        lacking = "ready" if answer["reason"] == "NotReady" else "live"
        raise Failure(f"{place}{answer['object']} is not {lacking}: {answer['message']}")


def _answer(data: Path | None, kind: str, name: str, namespace: str, most: int) -> dict[str, Any]:
    plural = PLURALS.get(kind.lower())
    if plural is not None:
        return wait_for_pods(data, plural, name, namespace, most / 1000)
    return ask(data, "wait", kind=kind, name=name, namespace=namespace, milliseconds=most)


def milliseconds(duration: str) -> int:
    """500ms, 10s, 2m; a number alone is seconds. Raises UsageFailure."""
    found = _DURATION.fullmatch(duration.strip())
    if found is None:
        raise UsageFailure(f"--timeout {duration}: write a number and ms, s, m or h, as in 30s")
    return round(float(found[1]) * _MILLISECONDS[found[2]])
