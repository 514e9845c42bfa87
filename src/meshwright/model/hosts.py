"""Hosts with wildcards: which includes which. A wildcard is `*`, or stands at the left: `*.shop.test`, `*-a.test`."""

from meshwright.model.names import Hostname


def covers(pattern: str, host: str) -> bool:
    """Whether every host that `host` stands for is one that `pattern` stands for."""
    if pattern in (host, "*"):
        return True
    rest = pattern[1:]
    return pattern.startswith("*") and host.endswith(rest) and len(host) > len(rest)


def common(one: str, other: str) -> Hostname | None:
    """The hosts that both include, None when there are none."""
    if covers(one, other):
        return Hostname(other)
    return Hostname(one) if covers(other, one) else None
