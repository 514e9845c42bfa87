"""What an analyzer is: the things it looks at, and what it says of one of them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from meshwright.analyzers.scene import Scene
from meshwright.model.diagnostic import Code, Diagnostic

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Analyzer(Generic[T]):
    """`check` takes little time for one subject: between two of them a busy process may do something else."""

    codes: tuple[Code, ...]
    subjects: Callable[[Scene], Iterable[T]]
    check: Callable[[Scene, T], Iterable[Diagnostic]]
