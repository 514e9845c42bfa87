"""The other end: whether the pod at an endpoint takes what a client sends it."""

from dataclasses import replace

from meshwright.envoyapi.envoy.config.listener.v3.listener_components_pb2 import FilterChain
from meshwright.envoyapi.envoy.config.listener.v3.listener_pb2 import Listener
from meshwright.envoyapi.envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext
from meshwright.evaluator.clusters import Encryption, Endpoint
from meshwright.evaluator.configuration import Configuration
from meshwright.evaluator.listeners import ANY_ADDRESS, Connection, bound, choose, named, redirected
from meshwright.evaluator.sentences import say
from meshwright.evaluator.values import Application, Call, MeshView, PodView
from meshwright.model.sentence import Sentence

VIRTUAL_INBOUND = "virtualInbound"
HTTP_FILTER = "envoy.filters.network.http_connection_manager"


def trouble(mesh: MeshView, endpoint: Endpoint, call: Call) -> Sentence | None:
    """Why the pod at an endpoint does not take the request; None when it does, or when it is not the mesh's."""
    pod = mesh.pods.get(endpoint.address)
    if not endpoint.known:
        return None
    if pod is None:
        return _nobody(mesh, endpoint, call)
    encryption = endpoint.encryption
    if not pod.has_proxy or pod.name not in mesh.published.proxies:
        return say("pod-without-proxy", pod=pod.name) if encryption.own else None
    if encryption.names and pod.identity not in encryption.names:
        return say("other-identity", pod=pod.name, identity=pod.identity, names=encryption.names)
    return _refusal(Configuration(mesh.published, pod.name), pod, endpoint, call)


def _nobody(mesh: MeshView, endpoint: Endpoint, call: Call) -> Sentence | None:
    """What goes to the address of a service past all rules reaches one of its pods, if the service has the port."""
    ports = mesh.ports_at(endpoint.address)
    if not ports:
        return None
    if str(endpoint.port) not in ports:
        return say("service-without-port", address=endpoint.address, port=endpoint.port, ports=ports)
    behind = [place.rpartition(":") for place in mesh.services[str(endpoint)]]
    if not behind:
        return say("service-without-endpoint", address=str(endpoint))
    found = [trouble(mesh, replace(endpoint, address=pod, port=int(port)), call) for pod, _, port in behind]
    return found[0] if all(found) else None


def _refusal(configuration: Configuration, pod: PodView, endpoint: Endpoint, call: Call) -> Sentence | None:
    encryption = endpoint.encryption
    connection = Connection(
        ANY_ADDRESS if endpoint.address == call.address else endpoint.address,
        endpoint.port,
        encryption.is_tls or call.application is Application.TLS,
        encryption.server_name or call.host,
        _alpn(encryption, call),
    )
    listener = (
        named(configuration, VIRTUAL_INBOUND)
        or bound(configuration, endpoint.address, endpoint.port)
        or redirected(configuration, connection)
    )
    if listener is None:
        return say("nothing-listens", pod=pod.name, port=endpoint.port)
    chain = choose(listener, connection).chain
    if chain is None:
        return say(_kind(listener, connection), pod=pod.name, port=connection.port)
    return _mismatch(chain, encryption, pod, call)


def _kind(listener: Listener, connection: Connection) -> str:
    """What a server that has no filter chain for a connection does not take, and why: the sentence's key."""
    if not connection.is_tls:
        return "no-plain-text"
    plain = choose(listener, replace(connection, is_tls=False, alpn=(Application.HTTP1.value,))).chain
    return "not-this-tls" if plain is None else "not-this-tls-but-others"


def _alpn(encryption: Encryption, call: Call) -> tuple[str, ...]:
    if encryption.is_tls:
        return encryption.alpn
    if call.application is Application.TLS:
        return ("h2", "http/1.1")
    return (call.application.value,) if call.is_http else ()


def _mismatch(chain: FilterChain, encryption: Encryption, pod: PodView, call: Call) -> Sentence | None:
    """The mesh's TLS against a chain that does not end it, and the reverse."""
    ends_tls = chain.HasField("transport_socket")
    if encryption.own and not ends_tls:
        return say("ends-no-tls", pod=pod.name)
    if encryption.is_tls and not ends_tls and any(each.name == HTTP_FILTER for each in chain.filters):
        return say("ends-no-rule-tls", pod=pod.name)
    strange = not encryption.own and (encryption.is_tls or call.application is Application.TLS)
    if ends_tls and strange and _wants_certificate(chain):
        return say("wants-certificate", pod=pod.name)
    return None


def _wants_certificate(chain: FilterChain) -> bool:
    context = DownstreamTlsContext()
    chain.transport_socket.typed_config.Unpack(context)
    return context.require_client_certificate.value
