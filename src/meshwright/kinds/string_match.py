"""StringMatch: `exact`, `prefix` or `regex`."""

from meshwright.kinds.fields import Fields
from meshwright.kinds.regex import problem_of
from meshwright.kinds.schema import Object, Text
from meshwright.model.string_match import MatchType, StringMatch

_ANY = "*"  # as a regex Istio reads it as "is there"


def _regex_problem(text: str) -> str | None:
    return None if text == _ANY else problem_of(text)


REGEX = Text(problem=problem_of)
STRING_MATCH = Object(
    fields={"exact": Text(), "prefix": Text(), "regex": Text(problem=_regex_problem)},
    one_of=(("exact", "prefix", "regex"),),
    single="exact",
)


def read_match(fields: Fields) -> StringMatch:
    """An empty value, or the regex `*`, asks only that the thing is there."""
    for type_ in (MatchType.EXACT, MatchType.PREFIX, MatchType.REGEX):
        value = fields.text(type_.value)
        if value and not (type_ is MatchType.REGEX and value == _ANY):
            return StringMatch(type_, value)
    return StringMatch(MatchType.PRESENT)


def optional_match(fields: Fields | None) -> StringMatch | None:
    return None if fields is None else read_match(fields)
