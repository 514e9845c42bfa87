"""What a client says of itself decides nothing; who pretends to be another is turned away and stands in the log."""

import logging
from collections.abc import Callable, Mapping

from meshwright.envoyapi.envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest
from meshwright.model.names import SECRET, ProxyName, ResourceName
from meshwright.model.published import EncodedResource

LOG = logging.getLogger(__name__)
MOST_TOLD = 20  # names of secrets in the log, per stream
LONGEST_NAME = 200
_PARTS = 4  # role~address~name.namespace~domain


class PretenderError(Exception):
    """A stream says that it is of another proxy; it should be ended."""


class Witness:
    """Looks at the requests of one stream of `proxy`; `secrets` are those that it may have now."""

    def __init__(
        self, proxy: ProxyName, secrets: Callable[[], Mapping[ResourceName, EncodedResource]], *, only_secrets: bool
    ) -> None:
        self._proxy = proxy
        self._secrets = secrets
        self._only_secrets = only_secrets
        self._told: set[str] = set()

    def look(self, request: DeltaDiscoveryRequest) -> None:
        """Raises PretenderError when the client says that it is another proxy. A secret that is not there, or is not
        this proxy's, is written down; it is simply never sent.
        """
        if request.HasField("node"):
            self._check_name(request.node.id)
        if self._only_secrets or request.type_url == SECRET:
            asked = {*request.resource_names_subscribe, *request.initial_resource_versions}
            for name in sorted(asked - self._secrets().keys() - self._told):
                if len(self._told) < MOST_TOLD:
                    self._told.add(name)
                    LOG.warning("%s asks for the secret %r, which it does not have", self._proxy, name[:LONGEST_NAME])

    def _check_name(self, node_id: str) -> None:
        """Only names of the form that we give to our proxies say who somebody claims to be."""
        parts = node_id.split("~")
        if len(parts) == _PARTS and parts[2] != self._proxy:
            LOG.warning("who speaks for %s says that it is %r: turned away", self._proxy, node_id[:LONGEST_NAME])
            raise PretenderError("this socket is of another proxy")
