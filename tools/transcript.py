"""Remakes the transcript of the READMEs on a real mesh: `tools/transcript.py` (part of `make docs`).

The commands of the first steps are those of README.md between the markers. They are run as they are written there, on
a demo mesh of its own, and what they print is put below them, in every README. Names that differ from run to run are
cut, numbers stay as this run had them.
"""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MESHWRIGHT = ROOT / ".venv" / "bin" / "meshwright"
PAGES = ("README.md", "README.zh.md")
BEGIN, END = "<!-- transcript -->", "<!-- end -->"
PROMPT = "$ "
POD = re.compile(r"(-v\d)-[a-z0-9]{10}-[a-z0-9]{5}\b")
REQUEST = re.compile(r"\b([0-9a-f]{8})(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
PAUSE_SECONDS = 8  # between two steps, as a person needs it: what passed meanwhile is on the page and in `requests`
PORT_BASE = 38080


@contextmanager
def demo(port_base: int = PORT_BASE) -> Generator[Path]:
    """A demo mesh in a folder of its own; its data directory."""
    with tempfile.TemporaryDirectory(prefix="mwd", dir="/var/tmp") as folder:
        data = Path(folder) / "mesh"
        words = ["up", "--data", str(data), "--profile", "demo", "--port-base", str(port_base), "--detach"]
        try:
            subprocess.run([str(MESHWRIGHT), *words], check=True, capture_output=True, timeout=180)
            yield data
        finally:
            subprocess.run(
                [str(MESHWRIGHT), "down", "--data", str(data), "--purge"],
                check=False,
                capture_output=True,
                timeout=60,
            )


def steps() -> list[str]:
    """The commands of README.md's first steps."""
    block = block_of((ROOT / PAGES[0]).read_text())
    return [line.removeprefix(PROMPT) for line in block.splitlines() if line.startswith(PROMPT)]


def run_step(step: str, data: Path) -> str:
    """What one command prints, errors included."""
    name, *rest = step.split()[1:]
    done = subprocess.run(
        [str(MESHWRIGHT), name, "--data", str(data), *rest],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        cwd=ROOT,
    )
    return cut(done.stdout)


def cut(text: str) -> str:
    """Without what every run names otherwise: the ends of pods' names and of requests' ids."""
    return REQUEST.sub(r"\1-…", POD.sub(r"\1-…", text)).rstrip()


def transcript(data: Path) -> str:
    """All steps, as a person would see them."""
    lines: list[str] = []
    for step in steps():
        time.sleep(PAUSE_SECONDS)
        lines += [f"{PROMPT}{step}", run_step(step, data)]
    return "\n".join(lines)


def block_of(text: str) -> str:
    """What a page has between the markers, without the fence."""
    inside = text.partition(BEGIN)[2].partition(END)[0]
    return inside.strip().removeprefix("```").removesuffix("```").strip()


def with_block(text: str, block: str) -> str:
    """A page with another transcript."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n```\n{block}\n```\n{END}{rest.partition(END)[2]}"


def main() -> int:
    """Remake the block of every page."""
    with demo() as data:
        block = transcript(data)
    for name in PAGES:
        page = ROOT / name
        page.write_text(with_block(page.read_text(), block))
    return 0


if __name__ == "__main__":
    sys.exit(main())
