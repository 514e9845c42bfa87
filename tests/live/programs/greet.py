"""Makes N gRPC calls over one connection: `greet.py TARGET N`, prints a JSON list of the answers."""

# pyright: basic
# grpcio ships no types.

import json
import sys

import grpc


def main() -> None:
    with grpc.insecure_channel(sys.argv[1]) as channel:
        call = channel.unary_unary("/greeter.Greeter/Hello")
        answers = [call(b"hi", timeout=10).decode() for _ in range(int(sys.argv[2]))]
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
