"""Remakes the transcript of the READMEs on a real mesh: `tools/transcript.py` (part of `make docs`).

The commands of the first steps are run as they are written, on a demo mesh of its own; what they print is put between
the markers. Names that differ from run to run are cut, numbers stay as this run had them.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MESHWRIGHT = ROOT / ".venv" / "bin" / "meshwright"
PAGES = ("README.md", "README.zh.md")
BEGIN, END = "<!-- transcript -->", "<!-- end -->"
NETWORKING = "samples/bookinfo/networking"
STEPS = (
    f"mw apply -f {NETWORKING}/destination-rule-reviews.yaml -f {NETWORKING}/virtual-service-reviews-v3.yaml",
    f"mw apply -f {NETWORKING}/virtual-service-reviews-50-v3.yaml",
    "mw explain --from deploy/productpage-v1 --to http://reviews:9080/reviews/0",
    "mw undo",
)
POD = re.compile(r"(-v\d)-[a-z0-9]{10}-[a-z0-9]{5}\b")
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
    return POD.sub(r"\1-…", done.stdout).rstrip()


def transcript(data: Path) -> str:
    """All steps, as a person would see them."""
    return "\n".join(line for step in STEPS for line in (f"$ {step}", run_step(step, data)))


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
