"""A report on its way: what is put into it, what was found, what could not be had."""

import json
from dataclasses import dataclass, field
from typing import Any

from meshwright.cli.report.archive import Archive
from meshwright.cli.report.scrubbing import Scrubber
from meshwright.cli.report.selection import Selection
from meshwright.wiring.local_mesh import LocalMesh


def counted(count: int, what: str, many: str = "") -> str:
    """1 pod, 2 pods; 1 proxy, 2 `many`."""
    return f"1 {what}" if count == 1 else f"{count} {many or f'{what}s'}"


@dataclass(frozen=True, slots=True)
class Missing:
    """What could not be had, and why."""

    what: str
    why: str


@dataclass(slots=True)
class Draft:
    """`found` are sentences about what is wrong; `plane`: whether the control plane answers."""

    mesh: LocalMesh
    archive: Archive
    scrubber: Scrubber
    selection: Selection
    log_bytes: int
    app_logs: bool
    plane: bool = False
    found: list[str] = field(default_factory=list[str])
    missing: list[Missing] = field(default_factory=list[Missing])

    def text(self, path: str, content: str, about: str) -> None:
        """Add a text."""
        self.archive.add(path, self.scrubber.text(content), about)

    def value(self, path: str, content: Any, about: str) -> None:
        """Add a JSON value."""
        self.archive.add(path, json.dumps(self.scrubber.value(content), indent=1) + "\n", about)

    def yaml(self, path: str, content: Any, about: str) -> None:
        """Add a JSON value as YAML."""
        import yaml

        dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
        text = yaml.dump(self.scrubber.value(content), Dumper=dumper, sort_keys=False, width=120, allow_unicode=True)
        self.archive.add(path, text, about)

    def find(self, sentence: str) -> None:
        """Note what is wrong."""
        self.found.append(self.scrubber.text(" ".join(sentence.split())))

    def miss(self, what: str, why: str) -> None:
        """Note what could not be had."""
        self.missing.append(Missing(what, self.scrubber.text(" ".join(why.split()))))
