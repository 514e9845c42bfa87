"""VirtualService `http[].rewrite` becomes path and host rewrites of a route.

The path that matched is replaced to the letter, as in Istio: prefix `/api` with `uri: /` makes `//x` of `/api/x`.
"""

from meshwright.envoyapi.envoy.config.route.v3.route_components_pb2 import RouteAction
from meshwright.envoyapi.envoy.type.matcher.v3.regex_pb2 import RegexMatchAndSubstitute, RegexMatcher
from meshwright.model.rewrite import Rewrite


def set_rewrite(action: RouteAction, rewrite: Rewrite) -> None:
    """The regular expression wins over `uri`; the reader lets nobody set both."""
    if rewrite.uri_regex is not None:
        pattern, substitution = rewrite.uri_regex.match, rewrite.uri_regex.rewrite
        action.regex_rewrite.CopyFrom(
            RegexMatchAndSubstitute(pattern=RegexMatcher(regex=pattern), substitution=substitution)
        )
    elif rewrite.uri:
        action.prefix_rewrite = rewrite.uri
    if rewrite.authority:
        action.host_rewrite_literal = rewrite.authority
