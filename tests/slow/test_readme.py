"""The transcript of the READMEs is what the commands print today: figures apart, word for word."""

import re
from pathlib import Path

import pytest

from tests.live.mesh import free_port
from tools.transcript import PAGES, ROOT, block_of, demo, transcript

REQUEST = re.compile(r"\b[0-9a-f]{8}-…")
# Time of day, address, milliseconds (also in the column before the flags), how many proxies, which change, and which
# of the two versions that share the requests.
NUMBER = re.compile(
    r"\b\d\d:\d\d:\d\d\b|\b\d+\.\d+\.\d+\.\d+\b|\b\d+(?= ms\b)|(?<= )\d+(?= +(?:-|[A-Z]+: .*)$)"
    r"|\d+/\d+(?= proxies)|(?<=change )\d+|(?<=reviews-v)[23]\b(?!\.)",
    re.MULTILINE,
)
SPACES = re.compile(r" +")


def masked(text: str) -> str:
    """Ids, times, addresses and numbers of changes differ from run to run, and so does the width of their columns.
    Codes, shares and lines do not.
    """
    return SPACES.sub(" ", NUMBER.sub("#", REQUEST.sub("#", text)))


@pytest.mark.timeout(240)
def test_the_readmes_show_what_the_commands_print() -> None:
    with demo(free_port()) as data:
        printed = transcript(data)
    for name in PAGES:
        assert masked(block_of((ROOT / name).read_text())) == masked(printed), "make docs remakes it"


@pytest.mark.parametrize("page", [*PAGES, *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))])
def test_links_between_pages_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
    missing = [link for link in links if not (Path(ROOT / page).parent / link).exists()]
    assert missing == []
