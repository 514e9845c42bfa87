"""The option --data of every command that speaks with a running mesh."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from meshwright.cli.failure import UnreachableFailure, UsageFailure
from meshwright.wiring.local_mesh import LocalMesh, default_data_dir

F = TypeVar("F", bound=Callable[..., object])


def data_option(function: F) -> F:
    """Adds --data DIR; the command gets `data: Path | None`."""
    return click.option(
        "--data",
        type=click.Path(file_okay=False, readable=False, path_type=Path),
        default=None,
        help="Data directory of the mesh. [default: $MESHWRIGHT_DATA, else the user's state directory]",
    )(function)


def local_mesh(data: Path | None) -> LocalMesh:
    """The mesh of that directory, running or not."""
    return LocalMesh.at(data or default_data_dir(os.environ))


def insist_on_access(mesh: LocalMesh) -> None:
    """Raises UnreachableFailure for another user's data directory: whether a mesh runs there cannot be seen."""
    root = mesh.data.root
    try:
        closed = root.exists() and not os.access(root, os.R_OK | os.W_OK | os.X_OK)
    except PermissionError:
        raise UnreachableFailure(f"{root} is in a folder that this user may not look into") from None
    if closed:
        raise UnreachableFailure(
            f"the mesh in {root} belongs to {_owner(root)}: run the command as that user, or name another mesh "
            "with --data or $MESHWRIGHT_DATA"
        )


def insist_on_place(mesh: LocalMesh) -> None:
    """As `insist_on_access`, and raises UsageFailure for a folder with other people's files: with --purge all of it
    would go.
    """
    insist_on_access(mesh)
    try:
        foreign = mesh.data.is_of_others()
    except OSError as error:
        raise UsageFailure(f"{mesh.data.root} cannot be the data directory: {error.strerror}") from None
    if foreign:
        raise UsageFailure(
            f"{mesh.data.root} holds files that are no mesh's: name an empty or a new folder with --data"
        )


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except (KeyError, OSError):
        return "another user"


def running_mesh(data: Path | None) -> LocalMesh:
    """The mesh of that directory. Raises UnreachableFailure when it does not run."""
    mesh = local_mesh(data)
    insist_on_access(mesh)
    if mesh.supervisor() is None:
        raise UnreachableFailure(f"no mesh runs in {mesh.data.root}; start one with: meshwright up")
    return mesh
