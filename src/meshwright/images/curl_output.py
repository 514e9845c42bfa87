"""What our curl knows after a transfer, and `--write-out`."""

from __future__ import annotations

import json
import time

from meshwright.images.http11 import Headers

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}


class Result:
    """Facts about one transfer; times are seconds since its begin."""

    def __init__(self, url: str) -> None:
        self.begin = time.monotonic()
        self.url = url
        self.method = "GET"
        self.status = 0
        self.headers = Headers()
        self.begun = False
        self.times: dict[str, float] = {}
        self.sizes = {"download": 0, "upload": 0, "header": 0, "request": 0}
        self.redirects = 0
        self.redirect_url = ""
        self.connects = 0
        self.remote: tuple[str, int] = ("", 0)
        self.local: tuple[str, int] = ("", 0)
        self.exit_code = 0
        self.error = ""

    def note(self, name: str) -> None:
        """Keep the time of a milestone."""
        self.times[name] = time.monotonic() - self.begin

    def finish(self) -> None:
        """The transfer is over."""
        self.note("total")

    def reset(self, error: Exception) -> bool:
        """Whether the connection was reset, as opposed to closed."""
        return isinstance(error.__cause__, OSError)

    def variables(self) -> dict[str, str]:
        """The variables of `--write-out`."""
        total = self.times.get("total", 0.0)
        speed = self.sizes["download"] / total if total else 0.0
        names = ("total", "namelookup", "connect", "appconnect", "pretransfer", "starttransfer", "redirect")
        times = {f"time_{name}": f"{self.times.get(name, 0.0):.6f}" for name in names}
        sizes = {f"size_{name}": str(size) for name, size in self.sizes.items()}
        return (
            times
            | sizes
            | {
                "http_code": f"{self.status:03d}",
                "response_code": f"{self.status:03d}",
                "http_version": "1.1" if self.status else "0",
                "content_type": self.headers.get("content-type"),
                "num_redirects": str(self.redirects),
                "num_connects": str(self.connects),
                "num_headers": str(len(self.headers.items)),
                "redirect_url": self.redirect_url,
                "url": self.url,
                "url_effective": self.url,
                "method": self.method,
                "scheme": self.url.partition("://")[0],
                "remote_ip": self.remote[0],
                "remote_port": str(self.remote[1]),
                "local_ip": self.local[0],
                "local_port": str(self.local[1]),
                "speed_download": str(int(speed)),
                "exitcode": str(self.exit_code),
                "errormsg": self.error,
                "ssl_verify_result": "0",
                "header_json": json.dumps(self._grouped()),
            }
        )

    def _grouped(self) -> dict[str, list[str]]:
        values: dict[str, list[str]] = {}
        for name, value in self.headers.items:
            values.setdefault(name.lower(), []).append(value)
        return values


def write_out(form: str, result: Result) -> bytes:
    """`%{name}`, `%header{name}`, `%%` and backslash escapes replaced; unknown variables vanish, as in curl."""
    variables = result.variables()
    out: list[str] = []
    at = 0
    while at < len(form):
        rest = form[at:]
        if rest.startswith("%%"):
            out.append("%")
            at += 2
        elif rest.startswith(("%{", "%header{")) and "}" in rest:
            kind, _, name = rest[: rest.index("}")].partition("{")
            out.append(variables.get(name, "") if kind == "%" else result.headers.get(name))
            at += rest.index("}") + 1
        elif rest[0] == "\\" and rest[1:2] in _ESCAPES:
            out.append(_ESCAPES[rest[1]])
            at += 2
        else:
            out.append(rest[0])
            at += 1
    return "".join(out).encode("utf-8", "replace")
