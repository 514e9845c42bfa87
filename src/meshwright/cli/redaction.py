"""Envoy leaves keys out of its dumps; what might be one all the same never reaches a terminal."""

from typing import Any, cast

WORD = "[redacted]"
SECRET_FIELDS = frozenset(
    {
        "private_key",
        "private_key_provider",
        "pkcs12",
        "password",
        "session_ticket_keys",
        "generic_secret",
        "inline_password",
        "hmac_secret",
        "token_secret",
    }
)


def redacted(value: Any) -> Any:
    """`value` with every field that may hold a key replaced by a word, at any depth."""
    if isinstance(value, dict):
        known = cast("dict[str, Any]", value)
        return {name: WORD if name in SECRET_FIELDS else redacted(member) for name, member in known.items()}
    if isinstance(value, list):
        return [redacted(member) for member in cast("list[Any]", value)]
    return value
