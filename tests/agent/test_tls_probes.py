"""HTTPS probes: what answers is enough, whoever it is."""

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
from collections.abc import AsyncGenerator
from pathlib import Path

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from meshwright.agent.hooks import carry_out
from meshwright.agent.probes import Prober, Verdict
from meshwright.model.names import Milliseconds
from meshwright.model.pod import Hook, Probe, ProbeType
from tests.agent.mesh import web


def context(folder: Path) -> ssl.SSLContext:
    """A server with a certificate that nobody has reason to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nobody")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=2))
        .not_valid_after(now - dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = folder / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(file)
    return made


@contextlib.asynccontextmanager
async def server(tls: ssl.SSLContext | None) -> AsyncGenerator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            first = await reader.read(65536)
            status = b"200 OK" if first.startswith(b"GET /good ") else b"500 Broken"
            body = b"x" * 200_000
            writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)
            await writer.drain()
        writer.close()

    serving = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield serving.sockets[0].getsockname()[1]
    finally:
        serving.close()
        await serving.wait_closed()


async def verdict(port: int, path: str) -> Verdict:
    return await prober().ask(probe(port, path), web())


def probe(port: int, path: str) -> Probe:
    return Probe(ProbeType.HTTP, port, path, scheme="HTTPS", timeout=Milliseconds(10_000))


def prober() -> Prober:
    async def open_socket() -> socket.socket:
        made = socket.socket()
        made.settimeout(0)
        return made

    async def run(command: tuple[str, ...]) -> tuple[int, str]:
        raise AssertionError(command)

    return Prober("127.0.0.1", open_socket, run)


def test_a_certificate_is_not_judged(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with server(context(tmp_path)) as port:
            assert (await verdict(port, "/good")).success
            assert await verdict(port, "/bad") == Verdict(success=False, message="HTTP status 500")

    uvloop.run(scenario())


def test_a_hook_takes_any_answer_but_needs_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with server(context(tmp_path)) as port:
            assert (await carry_out(Hook(probe(port, "/bad")), prober(), web())).success
        refused = await carry_out(Hook(probe(port, "/good")), prober(), web())
        assert refused == Verdict(success=False, message="Connection refused")

    uvloop.run(scenario())


def test_plain_text_is_not_https() -> None:
    async def scenario() -> None:
        async with server(None) as port:
            answer = await verdict(port, "/good")
            assert not answer.success
            assert answer.message

    uvloop.run(scenario())
