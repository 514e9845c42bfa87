"""Changes of the loaded mesh that no request may notice. Each leaves every destination with endpoints."""

import random
from collections import Counter
from typing import Any

from tests.slow.load.world import CORE, NETWORKING, SECURITY, Api

ROUTING = ("weights", "tcp_weights", "routes", "subsets")
OTHERS = ("services", "client_tls", "server_tls", "both_tls")
BACKEND_RULES, BACKEND_ROUTES = f"{NETWORKING}/destinationrules/backend", f"{NETWORKING}/virtualservices/backend"
MOST_SERVICES = 4
SUBSETS = [{"name": name, "labels": {"version": name}} for name in ("v1", "v2")]


def shared(first: int) -> list[dict[str, Any]]:
    """One rule that gives v1 `first` percent."""
    shares = (("v1", first), ("v2", 100 - first))
    return [
        {"route": [{"destination": {"host": "backend", "subset": name}, "weight": share} for name, share in shares]}
    ]


class Changes:
    """Makes changes of some `kinds` in random order, one at a time; `made` counts them. Two writers that share no
    kind do not disturb each other if one has all of ROUTING, and the other all of OTHERS. Each set of rules for HTTP
    says its number in the header x-rule: `ruled` is how many there were.
    """

    def __init__(self, api: Api, kinds: tuple[str, ...]) -> None:
        self.made: Counter[str] = Counter()
        self.ruled = 0
        self._api = api
        self._kinds = kinds
        self._random = random.Random(3)
        self._services: list[str] = []
        self._third = self._mutual = False
        self._mode = ""

    def make(self) -> None:
        kind = self._random.choice(self._kinds)
        before = self._api.writes
        getattr(self, kind)()
        self.made[kind] += self._api.writes > before

    def restore(self) -> None:
        """As it was in the beginning."""
        if self._third:
            self.subsets()
        if self._mutual:
            self.client_tls()
        if self._mode:
            self._set_mode("")
        while self._services:
            self._remove_service()
        if self._kinds == ROUTING:
            self._api.patch(BACKEND_ROUTES, {"spec": {"http": shared(50), "tcp": shared(50)}})

    def weights(self) -> None:
        self._route(shared(self._random.choice((0, 10, 50, 90, 100))))

    def tcp_weights(self) -> None:
        self._api.patch(BACKEND_ROUTES, {"spec": {"tcp": shared(self._random.choice((10, 50, 90)))}})

    def routes(self) -> None:
        """Rules before the one that is used: added, removed and in another order."""
        some = self._random.sample(range(6), self._random.randrange(1, 5))
        refusals = [
            {"match": [{"uri": {"prefix": f"/none{number}"}}], "directResponse": {"status": 418}} for number in some
        ]
        self._route([*refusals, *shared(50)])

    def subsets(self) -> None:
        """A third subset comes and is used at once; the next time it goes, and its route with it."""
        self._third = not self._third
        if self._third:
            self._api.patch(BACKEND_RULES, {"spec": {"subsets": [*SUBSETS, {"name": "all", "labels": {}}]}})
            self._route([{"route": [{"destination": {"host": "backend", "subset": "all"}}]}])
        else:
            self._route(shared(50))
            self._api.patch(BACKEND_RULES, {"spec": {"subsets": SUBSETS}})

    def services(self) -> None:
        """Services of the same pods, with ports that the pods serve under other numbers and with new ones."""
        if len(self._services) >= MOST_SERVICES:
            self._remove_service()
            return
        number = self.made["services"]
        name = f"extra-{number}"
        ports = [
            {"name": "http", "port": 8100 + number % 50, "targetPort": 8000},
            {"name": "tcp", "port": 7000, "targetPort": 7000 if number % 2 else 7100 + number % 50},
        ]
        spec = {"selector": {"app": "backend"}, "ports": ports}
        meta = {"name": name, "namespace": "load"}
        self._api.create(f"{CORE}/services", {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec})
        self._services.append(name)

    def client_tls(self) -> None:
        """The clients' rule says mutual TLS, or nothing (and it is chosen for them)."""
        if self._mode == "DISABLE":
            return  # mutual TLS asked for where servers refuse it: a mistake, not a change
        self._mutual = not self._mutual
        policy = {"tls": {"mode": "ISTIO_MUTUAL"}} if self._mutual else None
        self._api.patch(BACKEND_RULES, {"spec": {"trafficPolicy": policy}})

    def server_tls(self) -> None:
        """PERMISSIVE, which is the default, STRICT or DISABLE; the latter only while no rule asks for mutual TLS."""
        modes = ("", "STRICT") if self._mutual else ("", "STRICT", "DISABLE")
        self._set_mode(self._random.choice([mode for mode in modes if mode != self._mode]))

    def both_tls(self) -> None:
        self._set_mode("" if self._mode else "STRICT")
        self.client_tls()

    def _set_mode(self, mode: str) -> None:
        before, self._mode = self._mode, mode
        path = f"{SECURITY}/peerauthentications"
        if not mode:
            self._api.delete(f"{path}/default")
        elif before:
            self._api.patch(f"{path}/default", {"spec": {"mtls": {"mode": mode}}})
        else:
            meta = {"name": "default", "namespace": "load"}
            kind = {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication"}
            self._api.create(path, {**kind, "metadata": meta, "spec": {"mtls": {"mode": mode}}})

    def _remove_service(self) -> None:
        self._api.delete(f"{CORE}/services/{self._services.pop(0)}")

    def _route(self, rules: list[dict[str, Any]]) -> None:
        self.ruled += 1
        mark = {"headers": {"request": {"set": {"x-rule": f"n{self.ruled}"}}}}
        marked = [{**rule, **mark} if "route" in rule else rule for rule in rules]
        self._api.patch(BACKEND_ROUTES, {"spec": {"http": marked}})
