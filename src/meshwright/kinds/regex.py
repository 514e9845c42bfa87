"""Says whether a text is a regular expression of RE2, the syntax that Envoy runs.

Python's compiler finds the ordinary mistakes; what the two dialects do not share is handled here: look-around,
back-references and the like are refused, RE2's own classes are rewritten before Python sees them.
"""

import re
import warnings

LONGEST = 1024
_MOST_REPEATS = 1000

_ONLY_PERL = (
    (re.compile(r"\(\?(?:=|!|<=|<!)"), "RE2 has no look-around"),
    (re.compile(r"\(\?P="), "RE2 has no back-references"),
    (re.compile(r"\(\?>"), "RE2 has no atomic groups"),
    (re.compile(r"\(\?\("), "RE2 has no conditions"),
    (re.compile(r"\(\?#"), "RE2 has no comments"),
)
_ESCAPES = {"z": r"\Z", "A": r"\A", "C": ".", "a": r"\x07"}
_REFUSED_ESCAPES = {
    "Z": "RE2 ends a text with \\z",
    "G": "RE2 has no \\G",
    "K": "RE2 has no \\K",
    "R": "RE2 has no \\R",
}
_FLAGS = re.compile(r"\(\?([imsU]*)(-[imsU]+)?([:)])")
_POSIX = re.compile(r"\[:\^?(\w+):\]")
_POSIX_NAMES = frozenset(
    (
        "alnum",
        "alpha",
        "ascii",
        "blank",
        "cntrl",
        "digit",
        "graph",
        "lower",
        "print",
        "punct",
        "space",
        "upper",
        "word",
        "xdigit",
    )
)
_PROPERTY = re.compile(r"[pP](?:[A-Z]|\{\^?\w+\})")
_QUANTIFIER = re.compile(r"[*+?]|\{\d+(?:,\d*)?\}")


def problem_of(text: str) -> str | None:
    """What is wrong with the expression, in a few words; None when RE2 takes it."""
    if len(text) > LONGEST:
        return f"it is longer than {LONGEST} characters"
    try:
        translated = _Translation(text).python()
    except _NotRe2 as error:
        return str(error)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(translated)
    except (re.error, OverflowError, RecursionError) as error:
        return error.msg if isinstance(error, re.error) else "it is too complex"
    return None


class _NotRe2(Exception):  # noqa: N818  (never leaves this module)
    pass


class _Translation:
    """Walks the expression once; `python()` is an expression that Python refuses exactly when RE2 does."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._out: list[str] = []

    def python(self) -> str:
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == "\\":
                self._escape(in_class=False)
            elif char == "[":
                self._class()
            elif char == "(":
                self._group()
            elif _QUANTIFIER.match(self._text, self._at):
                self._quantifier()
            else:
                self._take(1)
        return "".join(self._out)

    def _take(self, count: int, instead: str | None = None) -> None:
        self._out.append(self._text[self._at : self._at + count] if instead is None else instead)
        self._at += count

    def _escape(self, *, in_class: bool) -> None:
        following = self._text[self._at + 1 : self._at + 2]
        if following.isdigit() and following != "0":
            raise _NotRe2("RE2 has no back-references")
        if following in _REFUSED_ESCAPES:
            raise _NotRe2(_REFUSED_ESCAPES[following])
        if following == "Q":
            end = self._text.find("\\E", self._at)
            stop = len(self._text) if end < 0 else end
            literal = self._text[self._at + 2 : stop]
            self._take(min(stop + 2, len(self._text)) - self._at, re.escape(literal))
            return
        category = _PROPERTY.match(self._text, self._at + 1)
        if category:
            self._take(1 + len(category[0]), r"\w")
            return
        brace = re.compile(r"x\{[0-9A-Fa-f]{1,6}\}").match(self._text, self._at + 1)
        if brace:
            self._take(1 + len(brace[0]), "x")
            return
        if following in _ESCAPES and not in_class:
            self._take(2, _ESCAPES[following])
            return
        self._take(2)

    def _class(self) -> None:
        """A bracket expression; its `[:name:]` parts become a plain letter range."""
        self._take(1)
        if self._text.startswith("^", self._at):
            self._take(1)
        if self._text.startswith("]", self._at):
            self._take(1, r"\]")
        while self._at < len(self._text):
            posix = _POSIX.match(self._text, self._at)
            if posix:
                if posix[1] not in _POSIX_NAMES:
                    raise _NotRe2(f"unknown class [:{posix[1]}:]")
                self._take(len(posix[0]), "a-z")
            elif self._text[self._at] == "\\":
                self._escape(in_class=True)
            elif self._text[self._at] == "]":
                self._take(1)
                return
            elif self._text[self._at] == "[":
                self._take(1, r"\[")
            else:
                self._take(1)

    def _group(self) -> None:
        for pattern, problem in _ONLY_PERL:
            if pattern.match(self._text, self._at):
                raise _NotRe2(problem)
        flags = _FLAGS.match(self._text, self._at)
        if flags:
            self._take(len(flags[0]), "(?:" if flags[3] == ":" else "(?:)")
        elif self._text.startswith("(?<", self._at):
            self._take(3, "(?P<")
        else:
            self._take(1)

    def _quantifier(self) -> None:
        match = _QUANTIFIER.match(self._text, self._at)
        assert match is not None
        counts = [int(number) for number in re.findall(r"\d+", match[0])]
        if any(number > _MOST_REPEATS for number in counts):
            raise _NotRe2(f"RE2 repeats at most {_MOST_REPEATS} times")
        self._take(len(match[0]))
        if self._text.startswith("?", self._at):
            self._take(1)
        if _QUANTIFIER.match(self._text, self._at):
            raise _NotRe2("two repeat signs in a row")
