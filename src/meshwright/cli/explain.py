"""`meshwright explain`: where a request would go, and why; of a running mesh, or offline and without privilege."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from meshwright.cli.control import ask
from meshwright.cli.failure import UsageFailure
from meshwright.cli.logged import FROM_INPUT, Meant, from_text, meant
from meshwright.cli.logged_text import story
from meshwright.cli.mesh_option import data_option, running_mesh
from meshwright.cli.sources import STANDARD_INPUT, read_texts

MARKS = {"matched": "✓", "applied": "·", "skipped": "-", "refused": "✗", "missing": "✗"}
OUTCOMES = {
    "forward": "sent on",
    "respond": "answered by the proxy",
    "deny": "refused by a policy",
    "fail": "fails",
}


@click.command("explain")
@data_option
@click.option("--from", "caller", default="", metavar="POD.NS|deploy/NAME|outside", help="Who sends the request.")
@click.option("--to", "url", default="", metavar="URL", help="As the caller writes it: http, https, grpc, tcp, tls.")
@click.option(
    "--request",
    default="",
    metavar="ID|last|last-failed|-",
    help="Instead: one of the last requests (meshwright requests), or - for its record or log line.",
)
@click.option(
    "--hop", type=click.IntRange(1), help="Which hop of the request. [default: where it failed, or the first]"
)
@click.option("-X", "--method", default="GET", show_default=True, help="Method of the request.")
@click.option("-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="Header of the request.")
@click.option(
    "-f",
    "--filename",
    "names",
    multiple=True,
    metavar="PATH",
    help="Ask documents, not a running mesh; - reads them.",
)
@click.option("-n", "--namespace", default="default", show_default=True, help="Namespace of the caller.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Form of the answer.")
def command(  # noqa: PLR0913, PLR0917 - one parameter per option
    data: Path | None,
    caller: str,
    url: str,
    request: str,
    hop: int | None,
    method: str,
    headers: Sequence[str],
    names: Sequence[str],
    namespace: str,
    output: str,
) -> None:
    """Print where a request would go, step by step, with the object and line behind each step.

    With -f (files, folders, - for a piped `kubectl get -A -o yaml` List) no mesh and no privilege is needed. With
    --request: where such a request as was logged goes now, by its method, address and path.
    """
    if request:
        _insist_on_one_question(caller, url, names, request)
        logged = _meant(data, request, hop)
        answer = _offline(names, {"record": logged.record}) if names else ask(data, "explain", record=logged.record)
        answer = {**answer, "logged": logged.record, "hops": list(logged.hops)}
        click.echo(json.dumps(answer, indent=2) if output == "json" else f"{story(logged)}\n\n{text(answer)}")
        return
    if not caller or not url:
        raise UsageFailure("say --from and --to, or --request (ID, last or last-failed; see meshwright requests)")
    question: dict[str, Any] = {
        "caller": caller,
        "url": url,
        "method": method,
        "headers": [_check(each) for each in headers],
        "namespace": namespace,
    }
    answer = _offline(names, question) if names else ask(data, "explain", **question)
    click.echo(json.dumps(answer, indent=2) if output == "json" else text(answer))


def _insist_on_one_question(caller: str, url: str, names: Sequence[str], request: str) -> None:
    if caller or url:
        raise UsageFailure("--request tells who sent what: leave out --from and --to")
    if request == FROM_INPUT and STANDARD_INPUT in names:
        raise UsageFailure("--request - and -f - cannot both read standard input")


def _meant(data: Path | None, request: str, hop: int | None) -> Meant:
    found = from_text(sys.stdin.read(), hop) if request == FROM_INPUT else request
    return meant(running_mesh(data), found, hop) if isinstance(found, str) else found


def _check(header: str) -> str:
    name, colon, _ = header.partition(":")
    if not colon or not name.strip():
        raise UsageFailure(f"-H {header!r}: write 'name: value'")
    return header


def _pair(header: str) -> tuple[str, str]:
    name, _, value = header.partition(":")
    return name.strip().lower(), value.strip()


def _offline(names: Sequence[str], question: dict[str, Any]) -> dict[str, Any]:
    texts = read_texts(names)
    from meshwright.documents.render import render
    from meshwright.wiring.explaining import Question, QuestionError, explain
    from meshwright.wiring.loading import load
    from meshwright.wiring.logged_requests import question_of
    from meshwright.wiring.offline import OfflineMesh

    loaded = load((each.file, each.text) for each in texts)
    for found in loaded.refused:
        click.echo(render(found, loaded.lines), err=True)
    try:
        explainable = OfflineMesh(loaded).explainable()
        if "record" in question:
            asked = question_of(explainable.snapshot, question["record"])
        else:
            headers = tuple(_pair(each) for each in question["headers"])
            asked = Question(question["caller"], question["url"], question["method"], headers, question["namespace"])
        return {**explain(explainable, asked), "change": None}
    except QuestionError as error:
        raise UsageFailure(str(error)) from None


def text(answer: dict[str, Any]) -> str:
    """The answer for a person: the outcome first, then how it came to it."""
    method = "" if answer["to"].startswith(("tcp://", "tls://")) else f"{answer['method']} "
    lines = [f"{method}{answer['to']} from {answer['from']}: {_outcome(answer)}", ""]
    width = max((len(step["stage"]) for step in answer["steps"]), default=0)
    for step in answer["steps"]:
        name = f"{step['name']}: " if step["name"] else ""
        lines.append(f"  {MARKS[step['verdict']]} {step['stage']:{width}}  {name}{step['why']}")
        if step["origin"] is not None:
            lines.append(f"    {'':{width}}  {_origin(step['origin'])}")
    return "\n".join(lines)


def _outcome(answer: dict[str, Any]) -> str:
    status = f" with {answer['status']}" if answer["status"] else ""
    if answer["outcome"] != "forward":
        return f"{OUTCOMES[answer['outcome']]}{status}"
    shares = answer["destinations"]
    total = sum(each["weight"] for each in shares) or 1
    parts: list[str] = []
    for each in shares:
        subset = f" subset {each['subset']}" if each["subset"] else ""
        share = f" ({each['weight'] * 100 / total:g}%)" if len(shares) > 1 else ""
        problem = " - where it fails" if each["problem"] else ""
        parts.append(f"{each['host']}:{each['port']}{subset}{share}{problem}")
    return f"sent on to {', '.join(parts)}"


def _origin(origin: dict[str, Any]) -> str:
    space = f"{origin['namespace']}/" if origin["namespace"] else ""
    path = f" {origin['path']}" if origin["path"] else ""
    place = f" ({origin['file']}:{origin['line']})" if origin["file"] else ""
    return f"{origin['kind']} {space}{origin['name']}{path}{place}"
