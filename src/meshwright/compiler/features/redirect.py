"""VirtualService `http[].redirect` becomes Envoy's RedirectAction."""

from meshwright.envoyapi.envoy.config.route.v3.route_components_pb2 import RedirectAction
from meshwright.model.names import PortNumber
from meshwright.model.redirect import DerivePort, Redirect

CODES = {
    301: RedirectAction.MOVED_PERMANENTLY,
    302: RedirectAction.FOUND,
    303: RedirectAction.SEE_OTHER,
    307: RedirectAction.TEMPORARY_REDIRECT,
    308: RedirectAction.PERMANENT_REDIRECT,
}
USUAL_PORTS = {"http": 80, "https": 443}


def redirect_action(redirect: Redirect, port: PortNumber) -> RedirectAction:
    """`port` is the one the request came to. A scheme's usual port is not written into the Location."""
    made = RedirectAction(
        response_code=CODES[redirect.code],
        host_redirect=redirect.authority or "",
        port_redirect=_port(redirect, port),
    )
    if redirect.scheme:
        made.scheme_redirect = redirect.scheme
    if redirect.uri:
        made.path_redirect = redirect.uri
    elif redirect.prefix_rewrite:
        made.prefix_rewrite = redirect.prefix_rewrite
    return made


def _port(redirect: Redirect, port: PortNumber) -> int:
    wanted = redirect.port or (port if redirect.derive_port is DerivePort.FROM_REQUEST_PORT else 0)
    return 0 if USUAL_PORTS.get(redirect.scheme or "") == wanted else wanted
