"""What says what is inside a report, for people and for programs: summary.txt, index.html, report.json."""

import html
import json
from collections.abc import Sequence
from typing import Any

from meshwright.cli.report.archive import Packed
from meshwright.cli.report.draft import Draft

FOLDED = 20
"""Files of one folder above which the page shows them on request only."""
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}"
    "h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem}li{margin:.2rem 0}table{border-collapse:collapse}"
    "td{padding:.1rem 1rem .1rem 0;vertical-align:top}td.n{text-align:right;font-variant-numeric:tabular-nums}"
    "@media(prefers-color-scheme:dark){body{background:#14171a;color:#e3e6e8}a{color:#8ab4f8}}"
)


def covers(draft: Draft, when: str) -> dict[str, str]:
    """The three files, by their paths; `when` the report was made."""
    return {"summary.txt": summary(draft, when), "index.html": page(draft, when), "report.json": listing(draft, when)}


def summary(draft: Draft, when: str) -> str:
    """As text."""
    lines = [f"meshwright bug report of {when}, mesh in {draft.mesh.data.root}", ""]
    lines += ["What was found:", *_bullets(draft.found, "nothing that looks wrong"), ""]
    lines += ["What could not be had:", *_bullets(_absent(draft), "nothing is missing"), ""]
    lines += [
        "What is inside:",
        *(f"  {each.path}  ({each.size} bytes)  {each.about}" for each in draft.archive.files),
    ]
    lines += ["", privacy(draft)]
    return "\n".join(lines) + "\n"


def privacy(draft: Draft) -> str:
    """What is left out, and what is not."""
    applications = "so is the output of applications" if draft.app_logs else "the output of applications is not"
    return (
        f"Keys, tokens, passwords and the data of Secrets were taken out in {draft.scrubber.count} places "
        f"([redacted], (hidden)). Names, addresses, labels, images and paths of requests are inside; {applications}. "
        "Look through it before you give it to strangers."
    )


def listing(draft: Draft, when: str) -> str:
    """As JSON."""
    value: dict[str, Any] = {
        "created": when,
        "data": str(draft.mesh.data.root),
        "found": draft.found,
        "missing": [{"what": each.what, "why": each.why} for each in draft.missing],
        "left_out": draft.archive.left_out,
        "redactions": draft.scrubber.count,
        "files": [{"path": each.path, "bytes": each.size, "about": each.about} for each in draft.archive.files],
    }
    return json.dumps(value, indent=1) + "\n"


def page(draft: Draft, when: str) -> str:
    """As a page with a link to each file."""
    title = html.escape(f"meshwright bug report of {when}")
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>',
        f"<h1>{title}</h1><p>Mesh in <code>{html.escape(str(draft.mesh.data.root))}</code>. ",
        f"{html.escape(privacy(draft))}</p>",
        "<h2>What was found</h2>",
        _items(draft.found, "Nothing that looks wrong."),
        "<h2>What could not be had</h2>",
        _items(_absent(draft), "Nothing is missing."),
        "<h2>What is inside</h2>",
    ]
    folders: dict[str, list[Packed]] = {}
    for each in draft.archive.files:
        folders.setdefault(each.path.rpartition("/")[0], []).append(each)
    for folder, files in sorted(folders.items()):
        parts.append(_folder(folder, files))
    return "\n".join(parts) + "\n</html>\n"


def _folder(folder: str, files: Sequence[Packed]) -> str:
    rows = "".join(
        f'<tr><td><a href="{html.escape(each.path)}">{html.escape(each.path.rpartition("/")[2])}</a></td>'
        f'<td class="n">{each.size:,}</td><td>{html.escape(each.about)}</td></tr>'
        for each in files
    )
    opened = "" if len(files) > FOLDED or folder.startswith("proxies/") else " open"
    name = html.escape(folder or "of the mesh")
    return f"<details{opened}><summary>{name} ({len(files)})</summary><table>{rows}</table></details>"


def _absent(draft: Draft) -> list[str]:
    return [
        *(f"{each.what}: {each.why}" for each in draft.missing),
        *(f"{path}: the report would have become too big" for path in draft.archive.left_out),
    ]


def _bullets(sentences: Sequence[str], otherwise: str) -> list[str]:
    return [f"  - {each}" for each in sentences] or [f"  {otherwise}"]


def _items(sentences: Sequence[str], otherwise: str) -> str:
    listed = "".join(f"<li>{html.escape(each)}</li>" for each in sentences)
    return f"<ul>{listed}</ul>" if listed else f"<p>{html.escape(otherwise)}</p>"
