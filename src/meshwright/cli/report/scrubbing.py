"""Takes out of texts and values what gives access to something: values known to be secret, and what looks like it.

Rather a word too many is taken out than a password left in. Names stay, so that one can see what there is.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from meshwright.cli.redaction import SECRET_FIELDS, WORD

SHORTEST = 6
"""Letters; shorter values of Secrets are words that stand everywhere, and no secrets."""
SHORTEST_LINE = 16
"""Of a secret of several lines each line of so many letters is taken for itself."""
SHORTEST_MET = 8
"""What was hidden for its name's sake is looked for elsewhere if it has so many letters."""
_NAME = (
    r"(?:pass(?:word|wd|phrase)?|pwd|secret|token|credential"
    r"|api[-_]?key|access[-_]?key|private[-_]?key|signing[-_]?key)s?"
)
SECRET_NAME = re.compile(
    rf"(?:.*[-_.\s])?(?i:{_NAME})$"
    r"|.*[a-z0-9](?:Pass(?:word|wd|phrase)?|Pwd|Secret|Token|Credential|(?:Api|API|Access|Private|Signing)Key)s?$"
)
"""Of a variable, a field or an option: DB_PASSWORD, clientSecret, api-key."""
SECRET_HEADER = re.compile(r"(?i)(?:proxy-)?authorization|(?:set-)?cookie|x-(?:api-key|auth-token|csrf-token)")
_FLAG = re.compile(rf"(?i)^--?(?:[\w-]+[-_])?{_NAME}$")
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_HARMLESS = frozenset({"", "true", "false", "null", "none", "0", "1", WORD})
_VALUES = frozenset({"value", "raw_value", "exact", "prefix", "suffix", "contains", "regex", "safe_regex"})
_NAMES = ("name", "key", "header_name", "header")

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), WORD),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), WORD),
    (re.compile(r"(?i)(\bbearer\s+)(?!token\b)[\w.~+/-]{8,}=*"), rf"\1{WORD}"),
    (re.compile(r"(?i)(authorization\W{1,4}basic\s+)[\w+/-]{4,}=*"), rf"\1{WORD}"),
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/@\"']*:)[^\s:/@\"']+(@)"), rf"\1{WORD}\2"),
    (re.compile(rf"(?i)(--?(?:[\w-]+[-_])?{_NAME}[= ]+)(?!--)[^\s\"',]+"), rf"\1{WORD}"),
    (re.compile(rf"(?i)([?&#;](?:[\w-]+[-_.])?{_NAME}=)[^&\s\"'#;]+"), rf"\1{WORD}"),
    (
        re.compile(rf"(?im)(^\s*(?:export )?(?:[\w-]+[-_.])?{_NAME}[ \t]*[=:][ \t]*)(?!\s*[|>{{\[])\S.*$"),
        rf"\1{WORD}",
    ),
    (re.compile(r"""(\\?["'](?:k|d|p|q|dp|dq|qi)\\?["']\s*:\s*\\?["'])[\w-]{16,}"""), rf"\1{WORD}"),
)
_BASE64_PEM = re.compile(r"LS0tLS1CRUdJTi[A-Za-z0-9+/\s]{40,}={0,2}")


class Scrubber:
    """`count` is how often something was taken out."""

    def __init__(self, known: Iterable[str] = (), public: Iterable[str] = ()) -> None:
        """`known`: values that must not stand anywhere; `public`: words that are no secrets, also if they are one's
        value, as the names of objects are.
        """
        self.count = 0
        everybody = frozenset(public)
        pieces = {piece for value in known for piece in _pieces(value)} - everybody
        self._public = everybody
        self._known = sorted((each for each in pieces if len(each) >= SHORTEST), key=len, reverse=True)

    def text(self, text: str) -> str:
        """`text` without secrets."""
        for value in self._known:
            if value in text:
                self.count += text.count(value)
                text = text.replace(value, WORD)
        for pattern, word in _PATTERNS:
            text, count = pattern.subn(word, text)
            self.count += count
        return _BASE64_PEM.sub(self._without_key, text)

    def _without_key(self, found: re.Match[str]) -> str:
        """Base64 of PEM: certificates stay."""
        packed = "".join(found.group().split())
        try:
            plain = base64.b64decode(packed + "=" * (-len(packed) % 4))
        except (binascii.Error, ValueError):
            plain = b"PRIVATE KEY"  # nobody knows what it is
        if b"PRIVATE KEY" not in plain:
            return found.group()
        self.count += 1
        return WORD

    def value(self, value: Any) -> Any:
        """A JSON value without secrets, at any depth; also in the JSON that kubectl keeps in an annotation."""
        if isinstance(value, Mapping):
            return self._mapping(cast("Mapping[str, Any]", value))
        if isinstance(value, list):
            return self._items(cast("list[Any]", value))
        return self.text(value) if isinstance(value, str) else value

    def _mapping(self, value: Mapping[str, Any]) -> dict[str, Any]:
        named = next((str(value[key]) for key in _NAMES if isinstance(value.get(key), str)), "")
        hidden_here = bool(SECRET_HEADER.fullmatch(named) or SECRET_NAME.match(named))
        found: dict[str, Any] = {}
        for name, member in value.items():
            if name in SECRET_FIELDS or (hidden_here and name in _VALUES):
                found[name] = self._hide(member)
            elif SECRET_HEADER.fullmatch(name) or (hidden_here and isinstance(member, dict) and "match" in name):
                found[name] = self._hide_leaves(member)
            elif SECRET_NAME.match(name) and isinstance(member, str):
                found[name] = self._hide(member)
            elif name == LAST_APPLIED and isinstance(member, str):
                found[name] = self._embedded(member)
            else:
                found[name] = self.value(member)
        return found

    def _items(self, value: Sequence[Any]) -> list[Any]:
        """Of a command line also what follows an option for a secret."""
        found: list[Any] = []
        before: object = None
        for member in value:
            option = isinstance(before, str) and _FLAG.match(before) and isinstance(member, str)
            found.append(self._hide(member) if option else self.value(member))
            before = member
        return found

    def _hide(self, member: Any) -> Any:
        if member is None or (isinstance(member, str) and member.lower() in _HARMLESS):
            return member
        self.count += 1
        if isinstance(member, str) and len(member) >= SHORTEST_MET and not member.isalpha():
            self._learn(member)
        return WORD

    def _learn(self, value: str) -> None:
        """It may stand in a log, too; but a mere word, such as `disabled`, stands everywhere."""
        if value not in self._public and value not in self._known:
            self._known.append(value)

    def _hide_leaves(self, member: Any) -> Any:
        if isinstance(member, dict):
            return {name: self._hide_leaves(each) for name, each in cast("dict[str, Any]", member).items()}
        if isinstance(member, list):
            return [self._hide_leaves(each) for each in cast("list[Any]", member)]
        return self._hide(member) if isinstance(member, str) else member

    def _embedded(self, text: str) -> str:
        try:
            return json.dumps(self.value(json.loads(text)))
        except ValueError:
            return WORD


def _pieces(value: str) -> set[str]:
    """The forms in which a secret may stand in a text: as it is, in JSON, in base64, and each long line of it."""
    whole = value.strip()
    lines = {line.strip() for line in whole.splitlines() if len(line.strip()) >= SHORTEST_LINE}
    plain = {whole, *(line for line in lines if not line.startswith("-----"))}
    escaped = {json.dumps(each)[1:-1] for each in plain}
    packed: set[str] = set()
    if len(whole) >= SHORTEST:
        packed = {base64.b64encode(each.encode()).decode() for each in (value, whole)}
    packed |= {each.rstrip("=") for each in packed}
    return plain | escaped | packed
