"""What `up` and `install` can be asked for: ports and the rung."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import click

from meshwright.ca.times import CertificateTimes
from meshwright.cli.failure import UsageFailure
from meshwright.processes.sandbox import Rung
from meshwright.wiring.certificate_settings import CertificateSettingError, times_from
from meshwright.wiring.run_file import CONSOLE_PORT, METRICS_PORT, Forward, RunFile, texts_of

F = TypeVar("F", bound=Callable[..., object])
HTTP_LISTENER, HTTPS_LISTENER = 8080, 8443
API_PORT = 16443
PORTS_OF_BASE = 5  # what --port-base stands for


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports on 127.0.0.1, as asked for on the command line; None: after `base`, or the usual one."""

    base: int | None = None
    http: int | None = None
    https: int | None = None
    api: int | None = None
    console: int | None = None
    metrics: int | None = None

    def forwards(self) -> tuple[Forward, ...]:
        """The two of the ingress."""
        http, https = self.http or self.base or 8080, self.https or self._after(1) or 8443
        return (Forward("http", http, HTTP_LISTENER), Forward("https", https, HTTPS_LISTENER))

    def run_file(self, rung: Rung | None, profile: str, texts: Sequence[tuple[str, str]]) -> RunFile:
        """What is asked for. Raises UsageFailure, also for one port that is asked for twice."""
        run = RunFile(
            rung or "",
            profile,
            self.forwards(),
            texts_of(texts),
            self.api or self._after(2) or API_PORT,
            _certificate_times(),
            self.console or self._after(3) or CONSOLE_PORT,
            self.metrics or self._after(4) or METRICS_PORT,
        )
        taken: dict[int, str] = {}
        for option, port in ports_of(run).items():
            if (other := taken.setdefault(port, option)) != option:
                raise UsageFailure(f"port {port} is for two things, --{other}-port and --{option}-port: change one")
        return run

    def _after(self, offset: int) -> int | None:
        return self.base + offset if self.base else None


def ports_of(run: RunFile) -> dict[str, int]:
    """The ports that are asked for: http, https, api, console, metrics."""
    ingress = {each.name: each.host_port for each in run.forwards}
    return {**ingress, "api": run.api_port, "console": run.console_port, "metrics": run.metrics_port}


def start_options(function: F) -> F:
    """Adds the options for ports and rung; the command gets `port_base`, `http_port` ..., `rung`, `single_uid`."""
    port = click.IntRange(1, 65535)
    for option in reversed(
        (
            click.option(
                "--port-base",
                type=click.IntRange(1024, 65000),
                help="Ports: N, N+1 of the ingress (HTTP, HTTPS), N+2 of the API, N+3 of the console, N+4: /metrics.",
            ),
            click.option("--http-port", type=port, help="Port of the ingress on 127.0.0.1. [default: 8080]"),
            click.option("--https-port", type=port, help="The same for TLS. [default: 8443]"),
            click.option("--api-port", type=port, help="Port of the object API (kubectl). [default: 16443]"),
            click.option("--console-port", type=port, help="Port of the console. [default: 20001]"),
            click.option("--metrics-port", type=port, help="Port of /metrics. [default: 15014]"),
            click.option(
                "--rung", type=click.Choice(["root", "user", "loopback"]), help="Use this rung and no better one."
            ),
            click.option(
                "--single-uid", is_flag=True, help="Rung user: make do with one uid even where there are more."
            ),
        )
    ):
        function = option(function)
    return function


def _certificate_times() -> CertificateTimes:
    try:
        return times_from(os.environ)
    except CertificateSettingError as error:
        raise UsageFailure(str(error)) from None
