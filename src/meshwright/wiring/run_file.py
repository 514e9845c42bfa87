"""What `up` decided, kept in the data directory so that every process, and every restart, does the same."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from meshwright.ca.times import DEFAULT_TIMES, CertificateTimes
from meshwright.wiring.certificate_settings import seconds_of, times_of

RUN_FILE = "mesh.json"
CONSOLE_PORT, METRICS_PORT = 20001, 15014
"""Preferred ones: where they are taken, the worker takes others and says which (`wiring.telemetry_process`)."""


@dataclass(frozen=True, slots=True)
class SourceText:
    """One text of configuration with the name that messages give it."""

    file: str
    text: str


@dataclass(frozen=True, slots=True)
class Forward:
    """127.0.0.1:`host_port` leads to the ingress gateway's listener `listener_port`. `name` is http or https."""

    name: str
    host_port: int
    listener_port: int


@dataclass(frozen=True, slots=True)
class RunFile:
    """`rung` is root, user or loopback. The texts are kept here: configuration is loaded once, at `up`."""

    rung: str
    profile: str
    forwards: tuple[Forward, ...]
    texts: tuple[SourceText, ...]
    api_port: int
    certificate_times: CertificateTimes = DEFAULT_TIMES
    console_port: int = CONSOLE_PORT
    metrics_port: int = METRICS_PORT

    def same_configuration(self, other: "RunFile") -> bool:
        """Whether another `up` asks for what already runs."""
        return replace(self, rung="") == replace(other, rung="")


def write_run_file(data_dir: Path, run: RunFile) -> Path:
    """Keep `run`, readable by its owner alone (Secrets may be in the texts). Atomic."""
    path = data_dir / RUN_FILE
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({**asdict(run), "certificate_times": seconds_of(run.certificate_times)}, file)
    temporary.replace(path)
    return path


def read_run_file(data_dir: Path) -> RunFile | None:
    """What the last `up` on this data directory decided, or None."""
    try:
        kept = json.loads((data_dir / RUN_FILE).read_text())
    except FileNotFoundError:
        return None
    return RunFile(
        kept["rung"],
        kept["profile"],
        tuple(Forward(**forward) for forward in kept["forwards"]),
        tuple(SourceText(**text) for text in kept["texts"]),
        kept["api_port"],
        times_of(kept.get("certificate_times", {})),
        kept.get("console_port", CONSOLE_PORT),
        kept.get("metrics_port", METRICS_PORT),
    )


def texts_of(pairs: Sequence[tuple[str, str]]) -> tuple[SourceText, ...]:
    """(file, text) pairs as the run file keeps them."""
    return tuple(SourceText(file, text) for file, text in pairs)
