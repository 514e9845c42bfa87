"""Random rules for connections without HTTP: TCP by port and caller, TLS by its server name, and the passthrough of a
gateway. Two services have such ports: `lines` (TCP) and `secure` (named `tls`).
"""

import random
from typing import Any

TCP_PORT, TLS_PORT = 9000, 8443
TCP_HOST, TLS_HOST = "lines", "secure"
FULL_TLS_HOST = "secure.shop.svc.cluster.local"
TLS_NAMES = (TLS_HOST, "secure.shop", FULL_TLS_HOST)  # under which it is called, which is the server name, too
GATEWAY_TLS_HOST = "secure.example.com"
SUBSETS = ("v1", "v2")


def subsets_rule(host: str) -> dict[str, Any]:
    """The spec of a DestinationRule with a subset for each version."""
    return {"host": host, "subsets": [{"name": each, "labels": {"version": each}} for each in SUBSETS]}


def tcp_rule(dice: random.Random, *, subsets: bool) -> dict[str, Any]:
    """The spec of a VirtualService for `lines`: one or two rules, the first with a condition."""
    rules: list[dict[str, Any]] = [{"match": [_tcp_match(dice)], "route": _shares(dice, TCP_HOST, TCP_PORT, subsets)}]
    if dice.random() < 0.4:
        rules.append({"route": _shares(dice, TCP_HOST, TCP_PORT, subsets)})
    return {"hosts": [TCP_HOST], "tcp": rules}


def _tcp_match(dice: random.Random) -> dict[str, Any]:
    made: dict[str, Any] = {"port": dice.choice([TCP_PORT, TCP_PORT, 9999])}
    if dice.random() < 0.3:
        made["sourceLabels"] = {"app": dice.choice(["client", "other"])}
    return made


def tls_rule(dice: random.Random, *, subsets: bool) -> dict[str, Any]:
    """The spec of a VirtualService for `secure`: by server name."""
    names = dice.choice([[FULL_TLS_HOST], ["*.svc.cluster.local"], [FULL_TLS_HOST, "other.shop.svc.cluster.local"]])
    hosts = [FULL_TLS_HOST, *(name for name in names if name != FULL_TLS_HOST)]
    match: dict[str, Any] = {"sniHosts": names}
    if dice.random() < 0.6:
        match["port"] = dice.choice([TLS_PORT, TLS_PORT, 9999])
    if dice.random() < 0.2:
        match["sourceLabels"] = {"app": dice.choice(["client", "other"])}
    return {"hosts": hosts, "tls": [{"match": [match], "route": _shares(dice, TLS_HOST, TLS_PORT, subsets)}]}


def passthrough(dice: random.Random, *, subsets: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """The specs of a Gateway that leaves TLS to the servers, and of a VirtualService that says where it goes."""
    server = {
        "port": {"number": 443, "name": "tls", "protocol": "TLS"},
        "tls": {"mode": "PASSTHROUGH"},
        "hosts": dice.choice([[GATEWAY_TLS_HOST], ["*.example.com"], ["*"]]),
    }
    names = dice.choice([[GATEWAY_TLS_HOST], [GATEWAY_TLS_HOST], ["*.example.com"]])
    rule = {"match": [{"sniHosts": names}], "route": _shares(dice, TLS_HOST, TLS_PORT, subsets)}
    return (
        {"selector": {"istio": "ingressgateway"}, "servers": [server]},
        {"hosts": names, "gateways": ["passthrough"], "tls": [rule]},
    )


def _shares(dice: random.Random, host: str, port: int, subsets: bool) -> list[dict[str, Any]]:  # noqa: FBT001
    def one() -> dict[str, Any]:
        made: dict[str, Any] = {"host": dice.choice([host] * 5 + ["nobody"]), "port": {"number": port}}
        if subsets and made["host"] == host and dice.random() < 0.7:
            made["subset"] = dice.choice(SUBSETS)
        return {"destination": made}

    if dice.random() < 0.6:
        return [one()]
    weight = dice.choice([0, 30, 100])
    return [{**one(), "weight": weight}, {**one(), "weight": 100 - weight}]
