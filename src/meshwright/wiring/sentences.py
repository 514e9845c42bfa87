"""What the control plane says to people beside an explanation, by key, so that a page can say it in its language."""

from meshwright.model.sentence import Phrasebook, Sentence
from meshwright.store.errors import AlreadyExistsError, ConflictError, GoneError, NotFoundError, StoreError

CHANGES = Phrasebook(
    {
        "change-undo": "undo {change}",
        "change-rollback": "rollback to {change}",
        "change-up": "up, profile {profile}",
        "change-apply": "apply",
        "change-delete": "delete",
        "change-visitors-on": "visitors on",
        "change-visitors-off": "visitors off",
        "change-ports": "ports of the ingress",
        "change-namespaces": "the namespaces of every mesh",
    }
)
"""The messages of changes, as they are kept."""

INSTEAD = Phrasebook(
    {
        "instead-route-before": "the route before it goes on",
        "instead-subset-before": "the subset as it was goes on",
        "instead-own-route": "the service's own route goes on",
        "instead-gateways-only": "only gateways take it",
    }
)
"""What is in effect instead of a route that is withheld."""

WITHHELD = Phrasebook(
    {
        "withheld": "{object}: not in effect: subset {subset} of {host} is not defined; {instead}",
        "subset-kept": (
            "{object}: subset {subset} of {host} is not defined any more; as long as this route needs it, "
            "it stays as it was"
        ),
    }
)
"""Why something is not in effect as it is stored: MW0121 and MW0122 with the object's name before them."""

REFUSALS = Phrasebook(
    {
        "undo-conflicts": "cannot undo {change}: {conflicts}",
        "rollback-conflicts": "cannot rollback to {change}: {conflicts}",
        "changed-since": "{object}: {paths} changed since",
        "not-kept": "{asked} is not kept: there is {oldest} to {newest}",
        "not-there": "{object} is not there",
        "already-there": "{object} already exists",
        "written-meanwhile": "{object} is written by somebody else again and again: try it once more",
        "no-visitors": "this mesh has no visitors: they come with the demo profile",
        "only-requests": "only requests can be asked again: this is a connection, or no record of a request",
        "unknown-sender": ("who sent this request is not known; ask with a caller and an address (--from, --to)"),
        "sender-gone": "{sender}, which sent this request, does not run any more",
        "no-gateway": "--from outside: the mesh has no gateway",
        "no-url": "--to {url} is no URL: write for example http://reviews:9080/path (or https, grpc, tcp)",
        "no-ipv6": "--to {url}: the mesh does not carry IPv6; write a name or an IPv4 address",
        "odd-in-url": "--to {url} has {odd} in it, which no URL has: write {instead} instead",
        "no-method": "{method} is no method: write for example GET or POST",
    }
)
"""What the control plane does not do when a page asks for it."""


def of_store_error(error: StoreError) -> Sentence | None:
    """What the store refuses, as a sentence; None for what no page brings about."""
    match error:
        case GoneError():
            return REFUSALS.say("not-kept", asked=error.asked, oldest=error.oldest, newest=error.newest)
        case NotFoundError():
            return REFUSALS.say("not-there", object=str(error.key))
        case AlreadyExistsError():
            return REFUSALS.say("already-there", object=str(error.key))
        case ConflictError():
            return REFUSALS.say("written-meanwhile", object=str(error.key))
        case _:
            return None
