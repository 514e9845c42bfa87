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
_REFUSED_ESCAPES = {
    "Z": "RE2 ends a text with \\z",
    "G": "RE2 has no \\G",
    "K": "RE2 has no \\K",
    "R": "RE2 has no \\R",
}
_PLAIN_ESCAPES = frozenset("dDwWsSbBntrfvazACQ")
_EMPTY_ESCAPES = frozenset("bBAz")  # they match a place, not a character
_SET_ESCAPES = frozenset("dDwWsSpP")
_FLAGS = re.compile(r"\(\?(?:[imsU]+(?:-[imsU]+)?|-[imsU]+)?([:)])")
_NAMED = re.compile(r"\(\?P?<\w+>")
_POSIX = re.compile(r"\[:\^?(\w+):\]")
_POSIX_NAMES = frozenset(
    ("alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper",
     "word", "xdigit")
)  # fmt: skip
_PROPERTY = re.compile(r"[pP](?:[LMNPSZC]|\{\^?(?:[LMNPSZC][a-z]?|[A-Z][A-Za-z_]{2,})\})")
_HEXADECIMAL = re.compile(r"x(?:[0-9A-Fa-f]{2}|\{0{0,6}[0-9A-Fa-f]{1,2}\})")  # Envoy matches bytes
_OCTAL = re.compile(r"0[0-7]{0,2}|[1-7][0-7]{2}")
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
    return _repeated_too_often(text)


def _repeated_too_often(text: str) -> str | None:
    """RE2 multiplies repeats within repeats: that is for RE2 itself to judge (it is seldom asked)."""
    if text.count("{") <= 1:
        return None
    import re2

    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 30  # what Envoy takes is no question of memory
    try:
        re2.compile(text, options)
    except re2.error as error:
        return str(error.args[0], "utf-8", "replace") if isinstance(error.args[0], bytes) else str(error)
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
            elif char in "^$":
                self._take(1, "(?:)")
            elif _QUANTIFIER.match(self._text, self._at):
                self._quantifier()
            elif char in "{}":
                self._take(1, "\\" + char)
            else:
                self._take(1)
        return "".join(self._out)

    def _take(self, count: int, instead: str | None = None) -> None:
        self._out.append(self._text[self._at : self._at + count] if instead is None else instead)
        self._at += count

    def _escape(self, *, in_class: bool) -> None:
        following = self._text[self._at + 1 : self._at + 2]
        for pattern, instead in ((_PROPERTY, r"\w"), (_HEXADECIMAL, "x"), (_OCTAL, "x")):
            found = pattern.match(self._text, self._at + 1)
            if found:
                self._take(1 + len(found[0]), instead)
                return
        self._check_escape(following, in_class=in_class)
        if following == "Q":
            end = self._text.find("\\E", self._at)
            stop = len(self._text) if end < 0 else end
            literal = self._text[self._at + 2 : stop]
            self._take(min(stop + 2, len(self._text)) - self._at, re.escape(literal))
        elif following in _EMPTY_ESCAPES and not in_class:
            self._take(2, "(?:)")
        else:
            self._take(2, {"C": ".", "a": "x"}.get(following))

    def _check_escape(self, following: str, *, in_class: bool) -> None:
        if following.isdigit():
            raise _NotRe2("RE2 has no back-references")
        if following in _REFUSED_ESCAPES:
            raise _NotRe2(_REFUSED_ESCAPES[following])
        known = following in _PLAIN_ESCAPES and not (in_class and following in "bBAzCQ")
        if following and not known and (following.isalnum() or not following.isascii()):
            raise _NotRe2(f"RE2 has no \\{following}" + (" in brackets" if in_class else ""))

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
                is_set = self._text[self._at + 1 : self._at + 2] in _SET_ESCAPES
                self._escape(in_class=True)
                if is_set and self._text.startswith("-", self._at):
                    self._take(1, "\\-")
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
        flags, named = _FLAGS.match(self._text, self._at), _NAMED.match(self._text, self._at)
        if flags:
            self._take(len(flags[0]), "(?:" if flags[1] == ":" else "(?:)")
        elif named:
            self._take(len(named[0]), "(")
        elif self._text.startswith("(?", self._at):
            raise _NotRe2("RE2 does not know this kind of group")
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
