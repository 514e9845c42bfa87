"""The ends of logs: of our own processes, of Envoys, and where it is asked for, of applications."""

import os
import re
from pathlib import Path

from meshwright.cli.pods import PROXY_CONTAINER
from meshwright.cli.report.draft import Draft, counted

BAD = re.compile(r" (?:ERROR|CRITICAL) |^Traceback |\]\[(?:error|critical)\]", re.IGNORECASE | re.MULTILINE)
"""Lines of our processes, and of Envoys, that speak of something broken."""
LONGEST_QUOTE = 300


def collect(report: Draft) -> str:
    """At most `log_bytes` of each file, from its end."""
    taken = 0
    for path in sorted(report.mesh.data.logs.glob("*.log")):
        place, about = _place(report, path)
        if not place:
            continue
        try:
            text, cut = tail(path, report.log_bytes)
        except OSError as error:
            report.miss(f"log {path.name}", str(error))
            continue
        report.text(place, text, f"{about}{', its end' if cut else ''}")
        taken += 1
        if PROXY_CONTAINER in about or about == OURS:
            _look(report, place, text)
    return counted(taken, "log")


OURS = "one of our processes"


def _place(report: Draft, path: Path) -> tuple[str, str]:
    """Where a log goes, "" for nowhere; and of what it is."""
    namespace, separator, rest = path.stem.partition("_")
    pod, _, container = rest.partition("_")
    if not separator:
        return f"logs/{path.name}", OURS
    if not report.selection.pod(namespace, pod) or (container != PROXY_CONTAINER and not report.app_logs):
        return "", ""
    return f"logs/pods/{path.name}", container


def tail(path: Path, most: int) -> tuple[str, bool]:
    """The last whole lines within so many bytes, and whether something stood before them. Raises OSError."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - most))
        data = file.read(most)
    if size > most:
        data = data[data.find(b"\n") + 1 :]
    return data.decode("utf-8", "replace"), size > most


def _look(report: Draft, place: str, text: str) -> None:
    """Say how much there is to complain of, and quote the last."""
    bad = [match.start() for match in BAD.finditer(text)]
    if bad:
        begin = text.rfind("\n", 0, bad[-1]) + 1
        end = text.find("\n", bad[-1])
        quote = text[begin : end if end >= 0 else None].strip()
        if quote.startswith("Traceback"):
            quote = text[bad[-1] :].strip().splitlines()[-1]
        report.find(f"{place}: {counted(len(bad), 'error')}, the last: {quote[:LONGEST_QUOTE]}")
