"""`destination` and the weights of several of them."""

from collections.abc import Iterator

from meshwright.kinds import formats
from meshwright.kinds.fields import Fields
from meshwright.kinds.metadata import PORT
from meshwright.kinds.naming import Names
from meshwright.kinds.schema import UINT32, Object, Text
from meshwright.model import codes
from meshwright.model.destination import Destination
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.names import PortNumber, SubsetName

DESTINATION = Object(
    fields={
        "host": Text(formats.DESTINATION_HOST, empty=False),
        "subset": Text(formats.SUBSET_NAME),
        "port": Object(
            fields={"number": PORT}, required={"number": "the service's port, e.g. 9080"}, single="number"
        ),
    },
    required={"host": "the service's name, e.g. reviews"},
    single="host",
)


def weights_of(rule: Fields) -> Iterator[Diagnostic]:
    """Several destinations whose weights are all 0 would take nothing; Envoy adds weights up in 32 bits."""
    weights = [entry.number_or("weight", 0) for entry in rule.items("route")]
    if len(weights) > 1 and sum(weights) == 0:
        yield Diagnostic(codes.OUT_OF_RANGE, rule.origin.field("route"), ("a sum of weights of 0", "1 and more"))
    elif sum(weights) > UINT32:
        args = (f"a sum of weights of {sum(weights)}", f"1..{UINT32}")
        yield Diagnostic(codes.OUT_OF_RANGE, rule.origin.field("route"), args)


def read_destination(fields: Fields, names: Names) -> Destination:
    port = fields.child_or_empty("port").number("number")
    subset = fields.text("subset")
    return Destination(
        host=names.host(fields.text("host")),
        subset=SubsetName(subset) if subset else None,
        port=None if port is None else PortNumber(port),
    )
