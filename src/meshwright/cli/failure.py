"""How a command says that it cannot go on. Exit codes: 0 fine, 1 findings or refused, 2 usage, 3 no mesh."""

from typing import IO, Any, ClassVar

import click


class Failure(click.ClickException):
    """One sentence for the user, with the fix where there is one."""

    exit_code: ClassVar[int] = 1

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"meshwright: {self.message}", file=file, err=file is None)


class UsageFailure(Failure):
    """The words of the command line do not fit: a path that is not there, an unknown proxy."""

    exit_code: ClassVar[int] = 2


class UnreachableFailure(Failure):
    """There is no running mesh to talk to."""

    exit_code: ClassVar[int] = 3


class NoProgramFailure(Failure):
    """There is no such program in the pod; the number is that of a shell."""

    exit_code: ClassVar[int] = 127


class CannotRunFailure(Failure):
    """The program is there and cannot be started; the number is that of a shell."""

    exit_code: ClassVar[int] = 126
