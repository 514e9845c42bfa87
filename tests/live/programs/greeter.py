"""A gRPC server without generated code: `greeter.py PORT`. /greeter.Greeter/Hello answers with the pod's name."""

# pyright: basic
# grpcio ships no types.

import os
import sys
from concurrent import futures

import grpc


def hello(request: bytes, _context: grpc.ServicerContext) -> bytes:
    return os.environ["HOSTNAME"].encode() + b" " + request


def main() -> None:
    server = grpc.server(futures.ThreadPoolExecutor(8))
    method = grpc.unary_unary_rpc_method_handler(hello)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("greeter.Greeter", {"Hello": method}),))
    server.add_insecure_port(f"0.0.0.0:{sys.argv[1]}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
