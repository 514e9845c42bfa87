"""Questions to a running mesh, and how its answers about changes are told."""

import asyncio
import getpass
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from meshwright.cli.answer import give_json
from meshwright.cli.failure import Failure, UnreachableFailure, UsageFailure
from meshwright.cli.mesh_option import running_mesh
from meshwright.processes.client import Disconnected, NobodyThere, RemoteError, Unanswered, answer_of
from meshwright.wiring.local_mesh import LocalMesh

RESTART_SECONDS = 8.0  # a killed control plane with a thousand objects is back within 5 s on two busy cores
RETRY_SECONDS = 0.2
PATIENCE_SECONDS = 2.0  # for a control plane that is there and does not answer
NAMED = 3  # objects in the line of a receipt; of more it says how many they are


def ask(data: Path | None, operation: str, **fields: Any) -> dict[str, Any]:
    """One operation on the running mesh. Raises Failure, UsageFailure or UnreachableFailure."""
    mesh = running_mesh(data)
    try:
        return asyncio.run(ask_patiently(mesh, operation, fields))
    except RemoteError as error:
        if error.code == "usage":
            raise UsageFailure(str(error)) from None
        raise Failure(str(error)) from None
    except Unanswered as error:
        doubt = "whether it has done what was asked is not known" if error.asked else "nothing was asked of it"
        raise UnreachableFailure(f"the control plane of {mesh.data.root} shows no life; {doubt}") from None
    except NobodyThere as error:
        trouble = mesh.trouble() or "it is starting, or its control plane is being restarted: try again in a moment"
        raise UnreachableFailure(f"the mesh in {mesh.data.root} does not answer: {error}; {trouble}") from None
    except (Disconnected, OSError) as error:
        raise UnreachableFailure(
            f"the mesh in {mesh.data.root} went away before it answered ({error}); whether it has done what was "
            "asked is not known: look with `meshwright history`, or ask again"
        ) from None


def proxies_as_compiled(mesh: LocalMesh) -> dict[str, dict[str, Any]] | None:
    """How far the control plane knows every proxy to be, by name; None while it does not answer."""
    try:
        answer = asyncio.run(asyncio.wait_for(_ask(mesh, "proxies", {}), PATIENCE_SECONDS))
    except (RemoteError, Disconnected, OSError):
        return None
    return {each["name"]: each for each in answer["proxies"]}


def planned_pods(mesh: LocalMesh) -> int | None:
    """How many pods the control plane wants to run; None while it does not answer."""
    try:
        return len(asyncio.run(_ask(mesh, "topology", {}))["pods"])
    except (RemoteError, Disconnected, OSError):
        return None


async def ask_patiently(mesh: LocalMesh, operation: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Asked again while nobody listens: a control plane that is being restarted is back in a few seconds.

    Raises NobodyThere when it is not, RemoteError and Disconnected.
    """
    end = time.monotonic() + RESTART_SECONDS
    while True:
        try:
            return await _ask(mesh, operation, fields)
        except NobodyThere:
            if time.monotonic() >= end:
                raise
        await asyncio.sleep(RETRY_SECONDS)


async def _ask(mesh: LocalMesh, operation: str, fields: dict[str, Any]) -> dict[str, Any]:
    result, _ = await answer_of(mesh.mesh_socket, operation, fields)
    return result.values


def author() -> str:
    """Who changes: the user's name, as history shows it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def findings(count: int, what: str) -> str:
    """1 finding refuses a document, 2 findings refuse a document."""
    return f"1 finding {what}s a document" if count == 1 else f"{count} findings {what} a document"


def tell(answer: dict[str, Any], *, dry_run: bool = False) -> None:
    """The objects, what the compiler notes, and the receipt in one line."""
    suffix = " (dry run)" if dry_run else ""
    for each in answer["objects"]:
        click.echo(f"{each['object']} {each['action']}{suffix}")
    for note in answer.get("notes", []):
        click.echo(note, err=True)
    if answer["change"] is not None and not dry_run:
        click.echo(receipt_line(answer["receipt"], answer["change"], _changed(answer["objects"])))
    for sentence in answer.get("withheld", []):
        click.echo(sentence)
    tell_wanted(answer)


def _changed(objects: Sequence[dict[str, Any]]) -> str:
    """Whose receipt it is: the names of what was changed, or how many objects those were."""
    objects = [each for each in objects if each["action"] != "unchanged"]
    names = dict.fromkeys(each["object"].rpartition("/")[2].rpartition(" ")[2] for each in objects)
    return ", ".join(names) if len(names) <= NAMED else f"{len(objects)} objects"


def give(answer: dict[str, Any], output: str, *, dry_run: bool = False) -> None:
    """What a change has come to, in the form that was asked for."""
    if output == "json":
        give_json(answer)
    else:
        tell(answer, dry_run=dry_run)


def tell_wanted(answer: dict[str, Any]) -> None:
    """What is missing for the objects of an apply to be in effect."""
    for sentence in answer.get("missing", []):
        click.echo(sentence, err=True)
    wanted: list[str] = answer.get("wanted", [])
    if wanted and not answer["fixed"]:
        click.echo("What is missing (`meshwright apply --fix` adds it):", err=True)
        click.echo("\n---\n".join(text.rstrip() for text in wanted), err=True)


def receipt_line(receipt: dict[str, Any] | None, change: int, whose: str = "") -> str:
    """reviews: live on 4/4 proxies in 38 ms, change 17. What is withheld comes first, and names its own objects."""
    before = f"{whose}: " if whose else ""
    if receipt is None:
        return f"{before}change {change}: no receipt is kept"
    if receipt["withheld"]:
        told = f"{'; '.join(receipt['withheld'])} (change {change})"
        rest: dict[str, Any] = {**receipt, "withheld": [], "live": receipt["milliseconds"] is not None}
        return f"{told}\n{before}{_reached(rest, change)}" if receipt["affected"] else told
    return before + _reached(receipt, change)


def _reached(receipt: dict[str, Any], change: int) -> str:
    """Live on 4/4 proxies in 38 ms, change 17."""
    total, waiting, absent = receipt["affected"], receipt["waiting"], receipt["absent"]
    names = ", ".join(receipt["refused"])
    away = f", absent: {', '.join(absent)}" if absent else ""
    if receipt["live"]:
        reached = total - len(absent)
        if total == 0:
            return f"no proxy is affected, change {change}"
        return f"live on {reached}/{total} proxies in {receipt['milliseconds']:.0f} ms, change {change}{away}"
    if receipt["steps"]:
        missing = f"; waiting for: {', '.join(waiting)}" if waiting else ""
        return f"not in effect yet, change {change}: {receipt['steps'][0]} first{missing}{away}"
    if receipt["refused"] and not waiting:
        return f"refused by {len(receipt['refused'])}/{total} proxies, change {change}: {names}{away}"
    reached = total - len(waiting) - len(absent)
    return f"live on {reached}/{total} proxies so far, change {change}; waiting for: {', '.join(waiting)}{away}"


def succeed_or_fail(receipt: dict[str, Any] | None, *, wait: bool) -> None:
    """With --wait a change that is not live yet is a failure."""
    if wait and receipt is not None and receipt["refused"]:
        raise Failure(f"refused by {', '.join(receipt['refused'])}; the objects say why: `kubectl describe` them")
    if wait and receipt is not None and receipt["withheld"]:
        raise Failure("; ".join(receipt["withheld"]))
    if wait and receipt is not None and not receipt["live"]:
        raise Failure(f"not live everywhere yet: {', '.join(receipt['waiting']) or 'TLS modes change in steps'}")


def split_name(words: Sequence[str]) -> tuple[str, str]:
    """KIND/NAME, or KIND NAME; the name may be absent. Raises UsageFailure for more than one object."""
    kind, names = split_names(words)
    if len(names) > 1:
        raise UsageFailure(f"one object at a time: {kind}/{names[0]}, or {kind} {names[0]}")
    return kind, names[0] if names else ""


def split_names(words: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """KIND NAME NAME..., or KIND/NAME KIND/NAME... of one kind. Raises UsageFailure for a mixture."""
    pairs = objects_named(words)
    kinds = {kind for kind, _ in pairs}
    if len(kinds) > 1:
        raise UsageFailure(f"one kind at a time with names: {', '.join(sorted(kinds))}")
    return (kinds.pop() if kinds else ""), tuple(name for _, name in pairs if name)


def objects_named(words: Sequence[str]) -> list[tuple[str, str]]:
    """(kind, name) of KIND NAME NAME..., KIND/NAME KIND/NAME..., or KIND alone. Raises UsageFailure."""
    if not words:
        return []
    if "/" in words[0]:
        pairs = [tuple(word.split("/", 1)) for word in words]
        wrong = [word for word, pair in zip(words, pairs, strict=True) if len(pair) == 1 or not all(pair)]
        if wrong:
            raise UsageFailure(f"{wrong[0]}: write KIND/NAME, as in {words[0]}")
        return [(kind, name) for kind, name in pairs]
    mixed = [word for word in words[1:] if "/" in word]
    if mixed:
        raise UsageFailure(f"{mixed[0]}: {words[0]} is the kind already; write the name alone")
    return [(words[0], name) for name in words[1:]] or [(words[0], "")]
