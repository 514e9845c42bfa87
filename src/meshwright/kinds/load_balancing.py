"""`trafficPolicy.loadBalancer`."""

from collections.abc import Iterator

from meshwright.kinds.fields import Fields
from meshwright.kinds.formats import HEADER_NAME
from meshwright.kinds.schema import Duration, Enum, Flag, Integer, Number, Object, Text, Unsupported
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.load_balancing import ConsistentHash, HashCookie, LoadBalancing, SimpleBalancing, Warmup

_LARGEST_RING = 8 * 1024 * 1024  # Envoy's own bound
_LARGEST_TABLE = 5_000_011
_HASH_KEYS = ("httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName")


def _one_key(fields: Fields) -> Iterator[Diagnostic]:
    if not any(fields.raw(name) for name in _HASH_KEYS):
        example = "the header whose value decides (or httpCookie, useSourceIp, httpQueryParameterName)"
        yield Diagnostic(codes.MISSING_FIELD, fields.origin.field("httpHeaderName"), ("`httpHeaderName`", example))


def _prime(fields: Fields) -> Iterator[Diagnostic]:
    size = fields.number("tableSize")
    if size is not None and not _is_prime(size):
        yield Diagnostic(codes.BAD_FORMAT, fields.origin.field("tableSize"), (str(size), "a prime number", "65537"))


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


_HASH = Object(
    fields={
        "httpHeaderName": Text(HEADER_NAME),
        "httpCookie": Object(
            fields={
                "name": Text(empty=False),
                "path": Text(),
                "ttl": Duration(0),
                "attributes": Unsupported("the cookie is set without them"),
            },
            required={"name": "the cookie's name"},
        ),
        "useSourceIp": Flag(),
        "httpQueryParameterName": Text(),
        "minimumRingSize": Integer(0, _LARGEST_RING),
        "ringHash": Object(fields={"minimumRingSize": Integer(0, _LARGEST_RING)}),
        "maglev": Object(fields={"tableSize": Integer(2, _LARGEST_TABLE)}, rules=(_prime,)),
    },
    one_of=(_HASH_KEYS, ("ringHash", "maglev")),
    rules=(_one_key,),
)
LOAD_BALANCER = Object(
    fields={
        "simple": Enum(tuple(SimpleBalancing), ("UNSPECIFIED", "LEAST_CONN")),
        "consistentHash": _HASH,
        "warmup": Object(
            fields={"duration": Duration(), "minimumPercent": Number(0, 100), "aggression": Number()},
            required={"duration": "e.g. 60s"},
        ),
        "warmupDurationSecs": Duration(),
        "localityLbSetting": Unsupported("endpoints of all localities are equal"),
        "zoneAwareLbSetting": Unsupported("endpoints of all zones are equal"),
        "backendUtilization": Unsupported("use `simple`"),
    },
    one_of=(("simple", "consistentHash", "backendUtilization"), ("localityLbSetting", "zoneAwareLbSetting")),
)


def read_load_balancing(fields: Fields | None) -> LoadBalancing | None:
    if fields is None:
        return None
    simple = fields.text("simple")
    known = SimpleBalancing(simple) if simple in tuple(SimpleBalancing) else SimpleBalancing.LEAST_REQUEST
    return LoadBalancing(known, _read_hash(fields.child("consistentHash")), _read_warmup(fields))


def _read_hash(fields: Fields | None) -> ConsistentHash | None:
    if fields is None:
        return None
    cookie, maglev = fields.child("httpCookie"), fields.child("maglev")
    ring = fields.child_or_empty("ringHash").number("minimumRingSize")
    default_table = 65537
    return ConsistentHash(
        header=fields.text("httpHeaderName") or None,
        cookie=None
        if cookie is None
        else HashCookie(cookie.text("name"), cookie.text("path"), cookie.duration("ttl")),
        query_parameter=fields.text("httpQueryParameterName") or None,
        minimum_ring_size=fields.number("minimumRingSize") if ring is None else ring,
        maglev_table_size=None if maglev is None else maglev.number_or("tableSize", default_table),
    )


def _read_warmup(fields: Fields) -> Warmup | None:
    warmup, old = fields.child("warmup"), fields.duration("warmupDurationSecs")
    if warmup is None:
        return None if old is None else Warmup(old)
    duration = warmup.duration("duration")
    assert duration is not None, "the schema requires it"
    percent, aggression = warmup.real("minimumPercent"), warmup.real("aggression")
    return Warmup(duration, 10.0 if percent is None else percent, aggression or 1.0)
