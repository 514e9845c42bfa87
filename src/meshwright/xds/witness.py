"""What a client says of itself decides nothing; who pretends to be another is turned away and stands in the log."""

import logging
from collections.abc import Callable, Collection, Mapping

from meshwright.model.names import ProxyName, ResourceName
from meshwright.model.published import EncodedResource

LOG = logging.getLogger(__name__)
MOST_TOLD = 20  # names of secrets in the log, per stream
LONGEST_NAME = 200
_PARTS = 4  # role~address~name.namespace~domain


class PretenderError(Exception):
    """A stream says that it is of another proxy; it should be ended."""


class Witness:
    """Hears what the client of one stream of `proxy` says; `secrets` are those that it may have now."""

    __slots__ = ("_proxy", "_secrets", "_told")

    def __init__(self, proxy: ProxyName, secrets: Callable[[], Mapping[ResourceName, EncodedResource]]) -> None:
        self._proxy = proxy
        self._secrets = secrets
        self._told: frozenset[str] = frozenset()

    def asked(self, names: Collection[str]) -> None:
        """A secret that is not there, or is not this proxy's, is written down; it is simply never sent."""
        for name in sorted(set(names) - self._secrets().keys() - self._told):
            if len(self._told) < MOST_TOLD:
                self._told |= {name}
                LOG.warning("%s asks for the secret %r, which it does not have", self._proxy, name[:LONGEST_NAME])

    def named(self, node_id: str) -> None:
        """Raises PretenderError when the client says that it is another proxy. Only names of the form that we give
        to our proxies say who somebody claims to be.
        """
        parts = node_id.split("~")
        if len(parts) == _PARTS and parts[2] != self._proxy:
            LOG.warning("who speaks for %s says that it is %r: turned away", self._proxy, node_id[:LONGEST_NAME])
            raise PretenderError("this socket is of another proxy")
