"""What happens most often, worked out once for all classes: streams have everything, and one type has news.

An endpoint comes or goes, and every class of proxies takes the same mapping of endpoints. Their sessions differ (each
class has listeners and routes of its own), but what they do with this one type does not: the same resources are new,
the same response goes out, the same acknowledgement brings them to rest again. A `Stride` is that, from rest to rest.
It is made by the subscription itself, so that it cannot mean anything else than the long way.
"""

from dataclasses import dataclass

from meshwright.envoyapi.envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest
from meshwright.model.names import CLUSTER, SECRET, TypeUrl
from meshwright.model.published import Resources
from meshwright.xds.grpc import Framed
from meshwright.xds.session import HELD_BACK, Answer, Session, response
from meshwright.xds.subscription import NamedResources, Place, Subscription

LONG_WAY = frozenset({CLUSTER, SECRET})
"""Clusters owe their endpoints afterwards, secrets are not part of what a class gets."""
AT_REST, ON_THE_WAY = 0, 1
"""Generations of a session that has everything, and of one that was given something new."""


@dataclass(frozen=True, slots=True, eq=False)
class Stride:
    """Where a stream stands with one type when it is `aimed` at the newest, when it was `sent` that, and when it has
    it: `settled`, at `place`. `said` is the response between; None when nobody asked for what is new. Nobody changes
    the subscriptions any more.
    """

    at: float
    aimed: Subscription
    sent: Subscription
    settled: Subscription
    place: Place
    said: Framed | None


def news(old: Resources, new: Resources) -> list[TypeUrl]:
    """Which types have other resources."""
    changed = [url for url, resources in new.items() if old.get(url) is not resources]
    if len(old) != len(new):
        changed += old.keys() - new.keys()
    return changed


def stride(session: Session, url: TypeUrl, target: NamedResources, nonce: str, now: float) -> Stride | None:
    """The stride of a session at rest whose type `url` (and nothing else) is to become `target`. None when it is not
    as simple: what goes must wait, or more follows than one response.
    """
    if url in LONG_WAY or not session.subscription(url).known:
        return None
    aimed = session.subscription(url).fork()
    aimed.aim(target)
    planned = aimed.fork()
    plan = planned.plan(now, ON_THE_WAY, hold_back=url in HELD_BACK)
    if plan.urgent or planned.leaving:
        return None
    sent, said = planned, None
    if plan:
        sent = planned.fork()
        sent.record(plan, nonce, now, ON_THE_WAY)
        acknowledgement = DeltaDiscoveryRequest(type_url=url, response_nonce=nonce)
        said = Framed(response(Answer(url, plan), nonce), acknowledgement.SerializeToString())
    settled = sent.fork()
    settled.in_flight.clear()
    settled.accept()
    place = settled.place()
    return None if place is None else Stride(now, aimed, sent, settled, place, said)
