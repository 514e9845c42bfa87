"""Whom a publication concerns."""

from collections.abc import Collection, Iterable

from meshwright.model.names import ProxyName
from meshwright.model.published import Published


def affected(before: Published, after: Published, there: Collection[ProxyName] = ()) -> tuple[ProxyName, ...]:
    """The proxies that get other bytes, sorted; new and removed ones are not affected by it, they come and go. Those
    that are `there` (connected) are not new, though they may have come since `before`.
    """
    changed = {key for key, resources in after.classes.items() if before.classes.get(key) != resources}
    names: Iterable[ProxyName] = (
        name
        for name, key in after.proxies.items()
        if (name in before.proxies or name in there) and (key in changed or before.proxies.get(name, key) != key)
    )
    return tuple(sorted(names))
