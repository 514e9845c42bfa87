"""Known traffic: `generator.py JSON` makes what each case says, and prints how often each of its answers came.

A case: name, kind ("http", "leave" = gone before the answer, "grpc", "stream", "tcp"), target (URL, or HOST:PORT),
count, and for http `headers`, for grpc `method`, for stream `method` and `messages`, for tcp `bytes` and `parts` (in
so many, `seconds` apart). Printed: {name: {answer: count}}, an answer being "STATUS VERSION", the number of a gRPC
status, for stream that and the number of messages that came, or for tcp "BYTES-SENT BYTES-THAT-CAME".
"""

# pyright: basic
# grpcio ships no types.

import http.client
import json
import socket
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import grpc

SECONDS = 20


def http_case(case: dict[str, Any]) -> Counter[str]:
    url = urlsplit(case["target"])
    connection = http.client.HTTPConnection(url.hostname or "", url.port or 80, timeout=SECONDS)
    seen: Counter[str] = Counter()
    for _ in range(case["count"]):
        connection.request("GET", url.path or "/", headers=case.get("headers", {}))
        answer = connection.getresponse()
        body = answer.read().decode()
        version = json.loads(body).get("version", "") if body.startswith("{") else ""
        seen[f"{answer.status} {version}".strip()] += 1
    connection.close()
    return seen


def leave_case(case: dict[str, Any]) -> Counter[str]:
    """Each request on a connection of its own, which is closed before the answer can come."""
    url = urlsplit(case["target"])
    for _ in range(case["count"]):
        with socket.create_connection((url.hostname or "", url.port or 80), timeout=SECONDS) as connection:
            connection.sendall(f"GET {url.path} HTTP/1.1\r\nhost: {url.netloc}\r\n\r\n".encode())
            time.sleep(0.3)
    return Counter({"0": case["count"]})


def grpc_case(case: dict[str, Any]) -> Counter[str]:
    seen: Counter[str] = Counter()
    with grpc.insecure_channel(case["target"]) as channel:
        call = channel.unary_unary(case["method"])
        for _ in range(case["count"]):
            try:
                call(b"hi", timeout=SECONDS)
                seen["0"] += 1
            except grpc.RpcError as error:
                seen[str(error.code().value[0])] += 1
    return seen


def stream_case(case: dict[str, Any]) -> Counter[str]:
    """Each call sends so many messages."""
    seen: Counter[str] = Counter()
    with grpc.insecure_channel(case["target"]) as channel:
        call = channel.stream_stream(case["method"])
        for _ in range(case["count"]):
            answers = call(iter([b"hi"] * case["messages"]), timeout=SECONDS)
            came = sum(1 for _ in answers)
            seen[f"{answers.code().value[0]} {came}"] += 1
    return seen


def tcp_case(case: dict[str, Any]) -> Counter[str]:
    """Sends so many bytes, which come back twice, then closes."""
    host, _, port = case["target"].rpartition(":")
    seen: Counter[str] = Counter()
    for _ in range(case["count"]):
        with socket.create_connection((host, int(port)), timeout=SECONDS) as connection:
            for part in range(case.get("parts", 1)):
                time.sleep(case.get("seconds", 0) if part else 0)
                connection.sendall(b"x" * (case["bytes"] // case.get("parts", 1)))
            time.sleep(0.2)  # an Envoy that still looks at the first bytes takes an end for a client that has gone
            connection.shutdown(socket.SHUT_WR)
            got = 0
            while piece := connection.recv(65536):
                got += len(piece)
            seen[f"{case['bytes']} {got}"] += 1
    return seen


KINDS = {"http": http_case, "leave": leave_case, "grpc": grpc_case, "stream": stream_case, "tcp": tcp_case}


def main() -> None:
    cases = json.loads(sys.argv[1])
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda case: KINDS[case["kind"]](case), cases))
    print(json.dumps({case["name"]: seen for case, seen in zip(cases, found, strict=True)}))


if __name__ == "__main__":
    main()
