"""Plain YAML scalars become values as Kubernetes reads them.

Kubernetes follows YAML 1.1 for unquoted words (`yes`, `no`, `on`, `off`, `y`, `n` are booleans; `0644` is octal), but
knows no dates and no base-60 numbers: those stay text.
"""

import math
import re

Scalar = str | int | float | bool | None

_WORDS: dict[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "yes": True, "Yes": True, "YES": True,
    "on": True, "On": True, "ON": True, "y": True, "Y": True,
    "false": False, "False": False, "FALSE": False, "no": False, "No": False, "NO": False,
    "off": False, "Off": False, "OFF": False, "n": False, "N": False,
}  # fmt: skip
_NUMERIC = frozenset("0123456789+-.")
_DECIMAL = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)\Z")
_BASED = re.compile(r"([-+]?)0(?:b([01_]+)|x([0-9a-fA-F_]+)|o?([0-7_]+))\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9][0-9_]*|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_LONGEST_NUMBER = 400


def resolve(text: str) -> Scalar:
    """The value of an unquoted scalar; whatever is not a boolean, null or number is the text itself."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in _NUMERIC and len(text) <= _LONGEST_NUMBER:
        return _number(text)
    return text


def _number(text: str) -> int | float | str:
    if _DECIMAL.match(text):
        return int(text.replace("_", ""))
    based = _BASED.match(text)
    if based:
        return _based(based, text)
    if _FLOAT.match(text) and not _is_leading_zero_integer(text):
        number = float(text.replace("_", ""))
        return number if math.isfinite(number) else text
    return text


def _based(match: re.Match[str], text: str) -> int | str:
    sign, *groups = match.groups()
    for digits, base in zip(groups, (2, 16, 8), strict=True):
        plain = (digits or "").replace("_", "")
        if plain:
            return -int(plain, base) if sign == "-" else int(plain, base)
    return text


def _is_leading_zero_integer(text: str) -> bool:
    """`089` is neither octal nor a number that anybody meant: it stays text."""
    digits = text.lstrip("+-")
    return digits[:1] == "0" and digits.replace("_", "").isdigit()
