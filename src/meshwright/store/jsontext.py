"""JSON values become canonical text: equal texts mean equal values, also where Python says `1 == True`."""

from collections.abc import Mapping
from typing import Any

import msgspec

from meshwright.store.names import Json

_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder(Json)
_labels_decoder = msgspec.json.Decoder(dict[str, str])


def encode(value: object) -> bytes:
    """Canonical JSON: members sorted, no blanks. Raises TypeError for what is not JSON."""
    return _encoder.encode(value)


def decode(text: bytes) -> Json:
    """A new value, the caller's to change."""
    return _decoder.decode(text)


def decode_map(text: bytes | str) -> dict[str, str]:
    """A map of texts, such as labels."""
    return _labels_decoder.decode(text)


def encode_object(value: Mapping[str, Any]) -> bytes:
    """An object with `metadata` as its last member, so that `resourceVersion` and `status` can be put in as text."""
    rest = encode({name: member for name, member in value.items() if name not in ("metadata", "status")})
    comma = b"" if rest == b"{}" else b","
    return b"".join((rest[:-1], comma, b'"metadata":', encode(value["metadata"]), b"}"))
