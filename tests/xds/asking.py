"""One question to an xDS socket, by somebody who knows gRPC and nothing of us."""

from pathlib import Path

import grpc

from meshwright.envoyapi.envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
)

SECONDS = 10


def ask(path: Path, method: str, request: DeltaDiscoveryRequest) -> tuple[str, DeltaDiscoveryResponse]:
    """The status (OK when there is an answer) and the first answer; blocks, so call it in a thread."""
    with grpc.insecure_channel(f"unix:{path}") as channel:
        call = channel.stream_stream(
            method,
            request_serializer=DeltaDiscoveryRequest.SerializeToString,
            response_deserializer=DeltaDiscoveryResponse.FromString,
        )
        try:
            return "OK", next(call(iter([request]), timeout=SECONDS))
        except grpc.RpcError as error:
            return error.code().name, DeltaDiscoveryResponse()
