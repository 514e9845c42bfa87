"""Which resource a proxy complains of: found by name in the words of its refusal."""

import re
from collections.abc import Sequence

from meshwright.model.names import ResourceName


def culprits(names: Sequence[ResourceName], message: str) -> tuple[ResourceName, ...]:
    """The names of a refused response that `message` blames; () when it does not say.

    Envoy writes `<name>: <reason>` for clusters and listeners, and quotes the whole resource (with its name) when
    a field rule is broken. A name that only occurs somewhere is believed when no other one does.
    """
    if len(names) == 1:
        return (names[0],)
    for pattern in (r"(?:^|[\s,;(]){0}: ", r'\bname: "{0}"'):
        found = tuple(name for name in names if re.search(pattern.replace("{0}", re.escape(name)), message))
        if found:
            return found
    found = tuple(name for name in names if re.search(rf"(?<![\w|.\-]){re.escape(name)}(?![\w|\-]|\.\w)", message))
    return found if len(found) == 1 else ()
