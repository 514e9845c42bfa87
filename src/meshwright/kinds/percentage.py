"""`percentage: {value: 12.5}`."""

from meshwright.kinds.fields import Fields
from meshwright.kinds.schema import Number, Object
from meshwright.model.names import PartsPerMillion

PERCENTAGE = Object(fields={"value": Number(0, 100)}, single="value")


def share_of(fields: Fields | None) -> PartsPerMillion | None:
    """The share as parts per million; None when nothing is written. A percentage without value is 0."""
    if fields is None:
        return None
    return PartsPerMillion(round((fields.real("value") or 0.0) * 10_000))
