"""What proxies refuse of what is published now, and which objects that concerns. Pure, but for a memory."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from meshwright.model.names import EXTENSION, LISTENER, ROUTES, ProxyName
from meshwright.model.published import EncodedResource, Published
from meshwright.node.progress import ProxyProgress
from meshwright.status.blame import Blame, blame, concerned_by
from meshwright.status.standing import Refusal
from meshwright.store.names import Key

SHARED = frozenset({ROUTES, LISTENER, EXTENSION})
"""Types whose resources are made of many objects: one that is refused keeps all of them from changing."""


@dataclass(frozen=True, slots=True)
class Refused:
    """One resource that is refused in this very version, by whom, and the newest words about it."""

    resource: EncodedResource
    proxies: tuple[ProxyName, ...]
    words: str
    is_taken_elsewhere: bool

    @property
    def concerned(self) -> frozenset[Key]:
        """The objects that it is made of; none when nobody knows."""
        return _concerned(_Same(self.resource))

    def blamed(self, suspects: Iterable[Key]) -> Blame:
        """Whose fault it is: one of the suspects among those concerned, or of all when nobody is concerned."""
        concerned = self.concerned
        if not concerned:
            return Blame(tuple((key, "") for key in sorted(suspects)))
        return blame(self.resource, self.words, concerned & frozenset(suspects))

    def told(self, path: str) -> Refusal:
        """The refusal as it is said of one object."""
        kind = self.resource.type_url.rpartition(".")[2]
        return Refusal(f"{kind} {self.resource.name}", path, self.words, self.proxies)


def refusals(published: Published, progress: Mapping[ProxyName, ProxyProgress]) -> tuple[Refused, ...]:
    """Every resource that somebody refuses now, sorted; refusals of what is not published any more are left out."""
    found: dict[tuple[str, str, str], list[ProxyName]] = {}
    for name, each in sorted(progress.items()):
        for key in each.refused if each.connected else ():
            found.setdefault(key, []).append(name)
    listed = [_refused(published, progress, key, names) for key, names in sorted(found.items())]
    return tuple(each for each in listed if each is not None)


def doubts(published: Published, progress: Mapping[ProxyName, ProxyProgress]) -> dict[Key, set[ProxyName]]:
    """The proxies that refused another version of a resource than is published now, by the objects that are in that:
    what they say of those is not known before they have looked at the newest.
    """
    found: dict[Key, set[ProxyName]] = {}
    for name, each in progress.items():
        for type_url, resource_name, version in each.refused if each.connected else ():
            resource = _named(published, name, type_url, resource_name)
            if resource is not None and resource.version != version:
                for key in _concerned(_Same(resource)):
                    found.setdefault(key, set()).add(name)
    return found


def _refused(
    published: Published,
    progress: Mapping[ProxyName, ProxyProgress],
    key: tuple[str, str, str],
    names: list[ProxyName],
) -> Refused | None:
    resource = next((one for name in names if (one := _found(published, name, key)) is not None), None)
    if resource is None:
        return None
    words = next((said for name in names if (said := _words(progress[name], key))), "it gave no reason")
    taken = any(
        each.connected and each.change >= published.change and _found(published, name, key) is not None
        for name, each in progress.items()
        if name not in names
    )
    return Refused(resource, tuple(names), words, taken)


def _found(published: Published, proxy: ProxyName, key: tuple[str, str, str]) -> EncodedResource | None:
    """The resource, if this proxy is to have just this version of it."""
    type_url, name, version = key
    resource = _named(published, proxy, type_url, name)
    return resource if resource is not None and resource.version == version else None


def _named(published: Published, proxy: ProxyName, type_url: str, name: str) -> EncodedResource | None:
    resources = published.resources_of(proxy)
    by_name: Mapping[str, EncodedResource] = (resources or {}).get(type_url) or {}  # type: ignore[call-overload]
    return by_name.get(name)


def _words(progress: ProxyProgress, key: tuple[str, str, str]) -> str:
    about = [each for each in progress.complaints if each.type_url == key[0] and each.resource_name == key[1]]
    return about[-1].message if about else ""


class _Same:
    """A resource as a key by identity; holding it keeps the identity from being reused."""

    __slots__ = ("resource",)

    def __init__(self, resource: EncodedResource) -> None:
        self.resource = resource

    def __hash__(self) -> int:
        return id(self.resource)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.resource is self.resource


@lru_cache(maxsize=64)
def _concerned(same: _Same) -> frozenset[Key]:
    return concerned_by(same.resource)
