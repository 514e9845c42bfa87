"""One question to an xDS socket, by somebody who knows gRPC and nothing of ours.

As a program, `SOCKET NODE_ID SECRET...`, it asks for secrets as an Envoy would and prints JSON of what came.
"""

import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc

from meshwright.envoyapi.envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from meshwright.envoyapi.envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
)
from meshwright.model.names import SECRET
from meshwright.xds.server import SDS_PATH

SECONDS = 10


def ask(path: Path, method: str, request: DeltaDiscoveryRequest) -> tuple[str, DeltaDiscoveryResponse]:
    """The status (OK when there is an answer) and the first answer; blocks, so call it in a thread."""
    with grpc.insecure_channel(f"unix:{path}") as channel:
        call = channel.stream_stream(
            method,
            request_serializer=DeltaDiscoveryRequest.SerializeToString,
            response_deserializer=DeltaDiscoveryResponse.FromString,
        )
        answered = threading.Event()

        def requests() -> Iterator[DeltaDiscoveryRequest]:
            yield request
            answered.wait(SECONDS)  # whoever has said everything may be hung up on

        try:
            return "OK", next(call(requests(), timeout=SECONDS))
        except grpc.RpcError as error:
            return error.code().name, DeltaDiscoveryResponse()
        finally:
            answered.set()


def main(socket: str, node_id: str, *names: str) -> dict[str, object]:
    """Certificates by name of their secret, and what there is not."""
    request = DeltaDiscoveryRequest(type_url=SECRET, resource_names_subscribe=names)
    request.node.id = node_id
    os.chdir(Path(socket).parent)  # the path may be longer than an address
    status, answer = ask(Path(Path(socket).name), SDS_PATH, request)
    found = {each.name: Secret.FromString(each.resource.value) for each in answer.resources}
    chains = {name: secret.tls_certificate.certificate_chain.inline_bytes.decode() for name, secret in found.items()}
    return {"status": status, "secrets": chains, "absent": list(answer.removed_resources)}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
