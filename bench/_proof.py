"""That both sides do the job that is measured: TLS 1.3 on the wire, no plaintext, as many connections as claimed."""

import asyncio
import ssl

from bench._admin import ask
from bench._sandbox import PORT, Side
from meshwright.processes.holder_client import HolderClient

CHUNK = 16_384
SECONDS = 10


async def proof(side: Side) -> str:
    """What the server's Envoy answers to a stranger, and the client's Envoy's connections to it, as one line."""
    version = await _tls_version(side)
    plain = "refused" if await _refuses_plaintext(side) else "ANSWERED"
    made = "; ".join(
        f"{'HTTP/2' if http2 else 'HTTP/1.1'} {_connections(side, http2=http2)}" for http2 in (True, False)
    )
    return f"{side.name}: {version}, plaintext {plain}; connections between the proxies: {made}"


async def _tls_version(side: Side) -> str:
    """The version that the server chooses for a client that can do every one; it has no certificate for us."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(incoming, outgoing)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(SECONDS), HolderClient.session(side.holder) as holder:
        with await holder.socket() as endpoint:
            await loop.sock_connect(endpoint, (side.server_address, PORT))
            while True:
                try:
                    session.do_handshake()
                except ssl.SSLWantReadError:
                    await loop.sock_sendall(endpoint, outgoing.read())
                    received = await loop.sock_recv(endpoint, CHUNK)
                    if not received:
                        return "no TLS"
                    incoming.write(received)
                else:
                    return session.version() or "no TLS"


async def _refuses_plaintext(side: Side) -> bool:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(SECONDS), HolderClient.session(side.holder) as holder:
        with await holder.socket() as endpoint:
            await loop.sock_connect(endpoint, (side.server_address, PORT))
            try:
                await loop.sock_sendall(endpoint, b"GET / HTTP/1.1\r\nHost: server\r\n\r\n")
                return not (await loop.sock_recv(endpoint, CHUNK)).startswith(b"HTTP/1.1 200")
            except ConnectionError:
                return True


def _connections(side: Side, *, http2: bool) -> int:
    """Open connections of the client's Envoy to the server under one of its names."""
    host = side.hosts[http2]
    lines = ask(side.admins[0], "/clusters").splitlines()
    return sum(int(line.rpartition("::")[2]) for line in lines if host in line and "::cx_active::" in line)
