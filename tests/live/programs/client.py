"""Sends requests from inside a pod: `client.py JSON`, prints a JSON list of answers.

The argument: url, count (1), headers ({}), method (GET), body (""), timeout seconds (10), keep_alive (true),
ca (path of a CA certificate for https; "" = no check), resolve (address to connect to instead of the name).
An answer: status (0 when none came), headers (lower case), body (text), seconds, error.
"""

import http.client
import json
import ssl
import sys
import time
from typing import Any
from urllib.parse import urlsplit


def connect(spec: dict[str, Any]) -> http.client.HTTPConnection:
    url = urlsplit(str(spec["url"]))
    timeout = spec.get("timeout", 10)
    host = url.hostname or ""
    if url.scheme == "https":
        context = ssl.create_default_context(cafile=spec.get("ca") or None)
        if not spec.get("ca"):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection(host, url.port or 443, timeout=timeout, context=context)
    return http.client.HTTPConnection(host, url.port or 80, timeout=timeout)


def ask(connection: http.client.HTTPConnection, spec: dict[str, Any]) -> dict[str, Any]:
    url = urlsplit(str(spec["url"]))
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    began = time.monotonic()
    try:
        connection.request(spec.get("method", "GET"), target, spec.get("body") or None, spec.get("headers", {}))
        answer = connection.getresponse()
        body = answer.read().decode("latin-1")
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return {"status": 0, "headers": {}, "body": "", "seconds": time.monotonic() - began, "error": repr(error)}
    headers = {name.lower(): value for name, value in answer.getheaders()}
    return {
        "status": answer.status,
        "headers": headers,
        "body": body,
        "seconds": time.monotonic() - began,
        "error": "",
    }


def main() -> None:
    spec = json.loads(sys.argv[1])
    answers: list[dict[str, Any]] = []
    connection = connect(spec)
    for _ in range(spec.get("count", 1)):
        if not spec.get("keep_alive", True):
            connection.close()
            connection = connect(spec)
        answers.append(ask(connection, spec))
    connection.close()
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
