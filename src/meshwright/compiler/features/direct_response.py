"""VirtualService `http[].directResponse` becomes an answer of the proxy's own."""

from base64 import b64decode

from meshwright.envoyapi.envoy.config.core.v3.base_pb2 import DataSource
from meshwright.envoyapi.envoy.config.route.v3.route_components_pb2 import DirectResponseAction
from meshwright.model.direct_response import DirectResponse


def direct_response_action(response: DirectResponse) -> DirectResponseAction:
    """Without a body the answer is empty."""
    made = DirectResponseAction(status=response.status)
    if response.body_base64 is not None:
        made.body.CopyFrom(DataSource(inline_bytes=b64decode(response.body_base64)))
    elif response.body is not None:
        made.body.CopyFrom(DataSource(inline_string=response.body))
    return made
