"""A gRPC and a TCP server: `others.py GRPC TCP`. The method /calls/N answers with the gRPC status N, /streams/N
with N messages to each that comes; of TCP all bytes come back twice, when the client has sent its last.
"""

# pyright: basic
# grpcio ships no types.

import os
import socketserver
import sys
from collections.abc import Iterator
from concurrent import futures

import grpc

BIND = os.environ.get("MESHWRIGHT_BIND_ADDRESS", "0.0.0.0")
STATUSES = {code.value[0]: code for code in grpc.StatusCode}


class Calls(grpc.GenericRpcHandler):
    """Every method."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        kind, number = str(handler_call_details.method).strip("/").split("/")
        status = int(number)

        def call(request: bytes, context: grpc.ServicerContext) -> bytes:
            if status:
                context.abort(STATUSES[status], "as asked")
            return request

        def stream(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            del context
            for request in requests:
                for _ in range(status):
                    yield request

        if kind == "streams":
            return grpc.stream_stream_rpc_method_handler(stream)
        return grpc.unary_unary_rpc_method_handler(call)


class Twice(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        said = self.rfile.read()
        self.wfile.write(said + said)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64


def main() -> None:
    server = grpc.server(futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((Calls(),))
    server.add_insecure_port(f"{BIND}:{sys.argv[1]}")
    server.start()
    Server((BIND, int(sys.argv[2])), Twice).serve_forever()


if __name__ == "__main__":
    main()
