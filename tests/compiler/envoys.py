"""Real Envoys for compiler tests: validate a configuration, or run it and stop it again."""

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ENVOY = Path(sys.executable).with_name("envoy")
PATIENCE = 20.0


def refusal(config: Mapping[str, Any], folder: Path, name: str = "config") -> str:
    """What `envoy --mode validate` has against a bootstrap; "" when it accepts it."""
    file = folder / f"{name}.json"
    file.write_text(json.dumps(config))
    done = subprocess.run(
        [ENVOY, "--mode", "validate", "-c", file, "-l", "warning"], capture_output=True, text=True, check=False
    )
    text = done.stdout + done.stderr
    return "" if done.returncode == 0 and "deprecated" not in text else text


@contextmanager
def running(config: Mapping[str, Any], folder: Path, name: str) -> Generator[Path]:
    """An Envoy that is live; its log is `<name>.log` in `folder` (the value)."""
    file, log = folder / f"{name}.json", folder / f"{name}.log"
    file.write_text(json.dumps(config))
    with log.open("wb") as output:
        process = subprocess.Popen(
            [ENVOY, "-c", file, "--disable-hot-restart", "--concurrency", "1", "-l", "warning",
             "--file-flush-interval-msec", "50"],
            stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            _await_live(process, config["admin"]["address"]["pipe"]["path"], log)
            yield log
        finally:
            process.kill()
            process.wait()


def _await_live(process: subprocess.Popen[bytes], admin: str, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        if _asked(admin, "/ready") == b"LIVE\n":
            return
        time.sleep(0.05)
    raise AssertionError(f"Envoy does not become ready: {log.read_text()}")


def _asked(admin: str, path: str) -> bytes:
    connection = http.client.HTTPConnection("admin")
    connection.sock = socket.socket(socket.AF_UNIX)
    try:
        connection.sock.connect(admin)
        connection.request("GET", path)
        return connection.getresponse().read()
    except OSError:
        return b""
    finally:
        connection.close()
