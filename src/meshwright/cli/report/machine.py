"""The machine: what it is, and whether it can run a mesh."""

import importlib.metadata
import os
import platform
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from meshwright.cli.report.draft import Draft
from meshwright.cli.report.told import ask

FOLDER = "machine"
MEMORY = ("MemTotal", "MemAvailable", "SwapTotal", "SwapFree")


def collect(report: Draft) -> str:
    """Versions and checks; no mesh is needed."""
    root = report.mesh.data.root
    versions = ask(root, ("version", "-o", "json"))
    report.value(f"{FOLDER}/version.json", versions.json(), "versions of meshwright and Envoy")
    run = report.mesh.run_file()
    ports = {each.name: str(each.host_port) for each in run.forwards} if run else {}
    words = [f"--{name}-port={ports[name]}" for name in ("http", "https") if name in ports]
    checked = ask(root, ("doctor", *words))
    report.text(f"{FOLDER}/doctor.txt", checked.text, "whether this machine can run the mesh")
    if checked.code != 0:
        for line in checked.out.splitlines():
            if line.strip().startswith(("fix:", "busy:")):
                report.find(f"machine: {line.strip()}")
    report.value(f"{FOLDER}/system.json", system(root), "kernel, distribution, processors, memory, disk, limits")
    packages = sorted(f"{each.name} {each.version}" for each in importlib.metadata.distributions())
    report.text(f"{FOLDER}/packages.txt", "\n".join(packages) + "\n", "Python packages beside meshwright")
    return "machine looked at"


def system(root: Path) -> dict[str, Any]:
    """What the system says of itself; sizes in bytes, memory as the kernel prints it."""
    place = next(folder for folder in (root, *root.parents) if folder.exists())
    disk = shutil.disk_usage(place)
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "system": platform.uname()._asdict(),
        "distribution": _distribution(),
        "python": sys.version,
        "uid": os.getuid(),
        "processors": len(os.sched_getaffinity(0)),
        "load": os.getloadavg(),
        "memory": _memory(),
        "disk": {"place": str(place), "total": disk.total, "free": disk.free},
        "limits": _lines(Path("/proc/self/limits")),
        "cgroup": _lines(Path("/proc/self/cgroup")),
    }


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return ""


def _memory() -> dict[str, str]:
    pairs = (line.partition(":") for line in _lines(Path("/proc/meminfo")))
    return {name: value.strip() for name, _, value in pairs if name in MEMORY}


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
