"""docs/cli.md out of the commands themselves: `python tools/cli_page.py` writes it, `page()` is what it must hold."""

import importlib
from pathlib import Path

import click

from meshwright.cli.main import COMMANDS

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
HEAD = """# The command line

`meshwright`, or `mw`. Made from the commands by `tools/cli_page.py`.

Exit codes: 0 fine, 1 findings or refused, 2 usage, 3 mesh not reachable, 141 the reader of our output went away
(`| head`); those of `exec` are the command's, 127 and 126 as in a shell. POD is a pod's name, POD.NAMESPACE, or
`deploy/NAME`, `sts/NAME`; a Deployment's name alone will do.

With `-o json` standard output holds one JSON document (`logs`: one per line); what people are told on the way goes to
standard error. When there is no answer, the document is `{"error": "...", "exit_code": N}`. Without `-o json` are
only `exec`, which passes on what its command writes, and `completion`, whose output is a script. `up`, `install` and
`status` have the same names for addresses; `up` adds `ports`, `ready`, `findings`, `warnings` and `errors`.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for entry in COMMANDS:
        command: click.Command = importlib.import_module(entry.module).command
        context = click.Context(
            command,
            info_name=f"meshwright {entry.name}",
            terminal_width=100,
            max_content_width=100,
            help_option_names=["-h", "--help"],  # as the group has them; a command keeps the first it is asked with
        )
        parts.append(f"## {entry.name}\n\n```\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
