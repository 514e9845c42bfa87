"""Which pods and namespaces a report is about."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class Selection:
    """Patterns NAMESPACE or NAMESPACE/POD with `*`; none in `wanted` means everything."""

    wanted: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()

    @classmethod
    def of(cls, include: Iterable[str], exclude: Iterable[str]) -> "Selection":
        """From the words of the command line, several of which may stand in one, with commas."""
        return cls(_parted(include), _parted(exclude))

    def pod(self, namespace: str, name: str) -> bool:
        """Whether this pod belongs to it; a pattern may also be the name of its Deployment."""
        taken = not self.wanted or any(_fits(each, namespace, name) for each in self.wanted)
        return taken and not any(_fits(each, namespace, name) for each in self.unwanted)

    def namespace(self, namespace: str) -> bool:
        """Whether objects of this namespace belong to it; those of none do."""
        if not namespace:
            return True
        taken = not self.wanted or any(fnmatchcase(namespace, each.partition("/")[0]) for each in self.wanted)
        return taken and not any("/" not in each and fnmatchcase(namespace, each) for each in self.unwanted)


def _parted(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(part.strip().rstrip("/") for word in words for part in word.split(",") if part.strip())


def _fits(pattern: str, namespace: str, name: str) -> bool:
    space, _, pod = pattern.partition("/")
    return fnmatchcase(namespace, space) and (not pod or fnmatchcase(name, pod) or fnmatchcase(name, f"{pod}-*"))
