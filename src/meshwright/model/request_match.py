"""Conditions on one HTTP request: Istio's HTTPMatchRequest."""

from dataclasses import dataclass

from meshwright.model.labels import Labels
from meshwright.model.names import Namespace, PortNumber
from meshwright.model.origin import Origin
from meshwright.model.string_match import StringMatch


@dataclass(frozen=True, slots=True)
class RequestMatch:
    """All conditions hold together. Header and query conditions are sorted by name.

    `port`, `source_labels`, `source_namespace` and `gateways` decide whether a proxy gets the rule at all;
    `gateways` None = the VirtualService's own list; entries are `mesh` or `<namespace>/<name>`.
    """

    origin: Origin
    name: str = ""
    uri: StringMatch | None = None
    ignore_uri_case: bool = False
    scheme: StringMatch | None = None
    method: StringMatch | None = None
    authority: StringMatch | None = None
    headers: tuple[tuple[str, StringMatch], ...] = ()
    without_headers: tuple[tuple[str, StringMatch], ...] = ()
    query_params: tuple[tuple[str, StringMatch], ...] = ()
    port: PortNumber | None = None
    source_labels: Labels = Labels()
    source_namespace: Namespace | None = None
    gateways: tuple[str, ...] | None = None
