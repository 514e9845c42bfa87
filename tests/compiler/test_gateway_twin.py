"""The twin of a gateway's listener on a unix socket, for the host."""

from typing import Any

from meshwright.compiler.compile import Compiler, resources_json
from meshwright.model.gateway import Gateway, Server, ServerHost, ServerTls, ServerTlsMode
from meshwright.model.labels import Labels
from meshwright.model.names import PortNumber
from meshwright.model.origin import Origin
from meshwright.model.protocol import Protocol
from meshwright.model.proxy import Interception
from meshwright.model.snapshot import Snapshot
from tests.compiler.meshes import meta, proxy, workload

ABOUT = meta("Gateway", "shop")
EVERYBODY = (ServerHost("*", "*"),)
SERVERS = (
    Server(Origin(ABOUT.ref), PortNumber(8080), "http", Protocol.HTTP, EVERYBODY),
    Server(
        Origin(ABOUT.ref),
        PortNumber(8443),
        "tls",
        Protocol.HTTPS,
        EVERYBODY,
        tls=ServerTls(ServerTlsMode.ISTIO_MUTUAL),
    ),
)


def listeners(sockets: str) -> dict[str, dict[str, Any]]:
    """The listeners of a gateway by their names."""
    pod = workload("istio-ingressgateway", "10.244.0.9", gateway=True)
    snapshot = Snapshot(
        workloads=(pod,),
        gateways=(Gateway(ABOUT, Labels.of({"istio": "ingressgateway"}), SERVERS),),
        proxies=(proxy(pod, Interception.UID, sockets),),
    )
    made = resources_json(Compiler().compile(snapshot), pod.proxy_name)["listeners"]
    return {one["name"]: one for one in made}


def filters(listener: dict[str, Any]) -> list[str]:
    return [each["name"].removeprefix("envoy.filters.listener.") for each in listener.get("listener_filters", ())]


def test_only_the_twin_takes_the_clients_address_from_the_forwarder() -> None:
    made = listeners("/run/x")
    assert {name: filters(one) for name, one in made.items()} == {
        "0.0.0.0_8080": [],
        "0.0.0.0_8080.sock": ["proxy_protocol"],
        "0.0.0.0_8443": ["tls_inspector"],
        "0.0.0.0_8443.sock": ["proxy_protocol", "tls_inspector"],
    }
    assert made["0.0.0.0_8443.sock"]["address"]["pipe"]["path"] == "/run/x/8443.sock"


def test_twins_serve_what_their_listeners_serve() -> None:
    made = listeners("/run/x")
    for port in (8080, 8443):
        own, twin = made[f"0.0.0.0_{port}"], made[f"0.0.0.0_{port}.sock"]
        for changed in ("name", "address", "listener_filters"):
            own.pop(changed, None)
            twin.pop(changed, None)
        assert own == twin
    assert set(listeners("")) == {"0.0.0.0_8080", "0.0.0.0_8443"}
