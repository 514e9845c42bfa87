"""Streams of proxies without sockets, for measuring what a change costs where it is given out."""

import time

from meshwright.envoyapi.envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse
from meshwright.model.names import CLUSTER, ENDPOINTS, LISTENER, ROUTES, ProxyName, TypeUrl
from meshwright.model.published import Resources
from meshwright.xds.session import Session


class Streams:
    """Sessions of `count` proxies of one class, all of which have taken everything."""

    def __init__(self, count: int, resources: Resources) -> None:
        self._now = 0.0
        self._sessions = [Session(ProxyName(f"{number}.bench"), lambda _: None) for number in range(count)]
        for session in self._sessions:
            session.update(resources)
            for url in (CLUSTER, ENDPOINTS, LISTENER, ROUTES):
                wanted = resources.get(url, {}) if url in (ENDPOINTS, ROUTES) else ()
                session.receive(DeltaDiscoveryRequest(type_url=url, resource_names_subscribe=wanted))
            while (answer := session.reply(self._now)) is not None:
                _acknowledge(session, answer)
        if not all(session.synced() for session in self._sessions):
            raise RuntimeError("a stream that has acknowledged everything wants something")

    def follow(self, resources: Resources) -> tuple[float, float, set[TypeUrl]]:
        """The streams get newer resources: CPU seconds until each knows what it must get, those until all responses
        are serialised, and the types that were sent.
        """
        self._now += 60.0
        started = time.process_time()
        for session in self._sessions:
            session.update(resources)
        known = time.process_time()
        answers = [session.reply(self._now) for session in self._sessions]
        done = time.process_time()
        sent: set[TypeUrl] = set()
        for session, first in zip(self._sessions, answers, strict=True):
            answer = first
            while answer is not None:
                sent.add(_acknowledge(session, answer))
                answer = session.reply(self._now)
        return known - started, done - known, sent


def _acknowledge(session: Session, answer: bytes) -> TypeUrl:
    said = DeltaDiscoveryResponse.FromString(answer)
    session.receive(DeltaDiscoveryRequest(type_url=said.type_url, response_nonce=said.nonce))
    return TypeUrl(said.type_url)
