"""Writes docs/codes.md out of the table of codes; `--check` only says whether the page is up to date."""

import sys
from pathlib import Path

from meshwright.model import codes
from meshwright.model.diagnostic import Code, Effect

PAGE = Path(__file__).parent.parent / "docs" / "codes.md"
GROUPS = {
    "MW00": "Documents and schema",
    "MW01": "Routing",
    "MW02": "Destinations",
    "MW03": "Gateways",
    "MW04": "Services and workloads",
    "MW05": "Security",
    "MW06": "Envoy",
}
EFFECTS = {
    Effect.REFUSED: "the object is not taken; everything else is used",
    Effect.DENIED: "a security object is broken, so what it protects now refuses",
    Effect.DROPPED: "the one rule or field is left out; the rest of the object is used",
    Effect.NOTED: "nothing changed; it is probably not what was meant",
}
HEAD = """\
# Findings

Made from the table of codes by `tools/codes_page.py`; change the table, not this page.

A finding has a code, an object, a field path, a place in a file, a sentence and a fix. `…` stands for the names of
the case at hand. What was done about it is its effect:

| effect | meaning |
|---|---|
"""


def filled(template: str) -> str:
    """The sentence with `…` for its arguments."""
    return template.format(*["…"] * 10)


def title(code: Code) -> str:
    """The name of the code in the table, as words."""
    names = [name for name, value in vars(codes).items() if value is code]
    assert names, f"{code.id} is not in the table under a name"
    return names[0].replace("_", " ").lower()


def section(code: Code) -> str:
    fix = filled(code.fix)
    advice = "said case by case" if fix == "…" else fix
    lines = [f"says: {filled(code.sentence)}", f"fix: {advice}", f"effect: {code.effect}"]
    if code.istio:
        lines.append(f"Istio's number: {code.istio}")
    return f"### {code.id}: {title(code)}\n\n" + "".join(f"- {line}\n" for line in lines)


def page() -> str:
    parts = [HEAD + "\n".join(f"| {effect} | {meaning} |" for effect, meaning in EFFECTS.items()) + "\n"]
    for prefix, group in GROUPS.items():
        found = sorted((code for code in codes.ALL if code.id.startswith(prefix)), key=lambda code: code.id)
        parts.append(f"## {group}\n")
        parts += [section(code) for code in found]
    assert sum(code.id[:4] in GROUPS for code in codes.ALL) == len(codes.ALL), "a code has no group"
    return "\n".join(parts)


def main() -> int:
    if "--check" in sys.argv[1:]:
        return 0 if PAGE.exists() and PAGE.read_text() == page() else 1
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
