"""A condition on one string: Istio's StringMatch."""

from dataclasses import dataclass
from enum import StrEnum


class MatchType(StrEnum):
    """How the string is compared; PRESENT asks only that it is there (an empty match in Istio)."""

    EXACT = "exact"
    PREFIX = "prefix"
    REGEX = "regex"  # RE2, the whole string
    PRESENT = "present"


@dataclass(frozen=True, slots=True)
class StringMatch:
    """`value` is empty for PRESENT."""

    type: MatchType
    value: str = ""
