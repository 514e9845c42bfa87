"""The command `meshwright` (alias `mw`): a table of commands, each loaded only when it is used."""

import errno
import importlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

import click

from meshwright.cli.answer import asked_for_json, give_failure, is_given

COMPLETION = ("_MESHWRIGHT_COMPLETE", "_MW_COMPLETE")
READER_GONE = 141  # as a shell tells it of a program that SIGPIPE has ended


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the table: the command's module has a click command `command`."""

    name: str
    help: str

    @property
    def module(self) -> str:
        return f"meshwright.cli.{self.name.replace('-', '_')}"


COMMANDS: tuple[Entry, ...] = (
    Entry("up", "Start the mesh on this machine, with configuration from files."),
    Entry("install", "Istioctl's verb: start the mesh in the background; or add a sample."),
    Entry("down", "Stop the mesh and leave nothing behind."),
    Entry("status", "What runs: addresses, pods, proxies, memory."),
    Entry("visitors", "Switch the demo's visitors on or off."),
    Entry("logs", "Print a pod's output."),
    Entry("exec", "Run a command inside a pod."),
    Entry("run", "Put a program of your own into the mesh."),
    Entry("compile", "Print the Envoy configuration of a proxy, offline."),
    Entry("analyze", "What is probably wrong in a mesh, or in files."),
    Entry("explain", "Where a request would go, and why; of a mesh, or of files alone."),
    Entry("requests", "The last requests: who called whom, with which answer."),
    Entry("apply", "Create or change objects; says when every proxy runs the change."),
    Entry("delete", "Delete objects."),
    Entry("get", "Print objects."),
    Entry("wait", "Wait until an object is live on every proxy."),
    Entry("describe", "What an object means in the mesh: rules, endpoints, proxies, changes."),
    Entry("history", "The changes, with receipts."),
    Entry("diff", "What is different between two changes."),
    Entry("undo", "Take one change back."),
    Entry("rollback", "Go back to how everything was after a change."),
    Entry("proxy-status", "How far every Envoy is, or what one of them runs that is not published."),
    Entry("proxy-config", "What an Envoy really runs, and which object each part comes from."),
    Entry("kubeconfig", "Print the path of the kubeconfig, for kubectl."),
    Entry("dashboard", "Print the address of the console, with what logs in."),
    Entry("doctor", "Check whether this machine can run the mesh, and how well."),
    Entry("bug-report", "Write an archive for whoever is to find out what is wrong."),
    Entry("version", "Print the versions of meshwright and Envoy."),
    Entry("completion", "Print the completion script of a shell."),
)


ALIASES: Mapping[str, str] = {"ps": "proxy-status", "pc": "proxy-config"}
"""As users of istioctl type them."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class LazyGroup(click.Group):
    """A group that knows its commands' names and one-line helps without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [entry.name for entry in COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        wanted = ALIASES.get(cmd_name, cmd_name)
        entry = next((entry for entry in COMMANDS if entry.name == wanted), None)
        if entry is None:
            return None
        command: click.Command = importlib.import_module(entry.module).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it; a name that is not there is answered with the one that was meant."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            near = get_close_matches(args[0], self.list_commands(ctx), 1)
            ctx.fail(f"there is no command {args[0]}" + (f": did you mean {near[0]}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(entry.name, entry.help) for entry in COMMANDS])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """A service mesh and its console: Istio's API, the real Envoy, with or without Kubernetes."""


def main() -> None:
    """The console script's entry."""
    sys.exit(_run())


def _run() -> int:
    """The exit code; for a reader of a pipe that goes away, as `| head` does, that of a program which that ends."""
    try:
        code = _command()
        sys.stdout.flush()
    except BrokenPipeError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)  # what is still buffered goes nowhere, and nobody complains at exit
        return READER_GONE
    except OSError as error:
        if error.errno not in _FULL or error.filename is not None:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        click.echo(f"meshwright: the answer cannot be written: {error.strerror}", err=True)
        return 1
    return code


def _command() -> int:
    for variable in COMPLETION:
        if variable in os.environ:
            cli.main(prog_name="meshwright", complete_var=variable)
    context: click.Context | None = None
    try:
        # Not `main`, which would hide that a pipe was closed.
        with cli.make_context("meshwright", sys.argv[1:]) as context:
            cli.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        error.show()
        return _failed(context, error.format_message(), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("aborted", err=True)
        return _failed(context, "aborted", 1)
    return 0


def _failed(context: click.Context | None, message: str, code: int) -> int:
    """The exit code; programs that wait for an answer are told why there is none."""
    if asked_for_json(sys.argv[1:]) and not (context is not None and is_given(context)):
        give_failure(message, code)
    return code


if __name__ == "__main__":
    main()
