"""Small programs that run inside pods: `python programs.py NAME ARGUMENTS...`. One file, standard library only."""

import asyncio
import errno
import json
import random
import signal
import socket
import struct
import sys
from pathlib import Path

SO_ORIGINAL_DST = 80
SO_MARK = 36


def _greet(listener: socket.socket, text: str) -> None:
    while True:
        connection, peer = listener.accept()
        with connection:
            meant = ""
            try:
                raw = connection.getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, 16)
                port, packed = struct.unpack("!2xH4s8x", raw)
                meant = f"{socket.inet_ntoa(packed)}:{port}"
            except OSError:
                pass
            own = connection.getsockname()[1]
            connection.sendall(f"{text} {own} meant {meant} from {peer[0]}\n".encode())


def _listen(text: str, host: str, ports: list[int]) -> None:
    """Serve every port by a process of its own kind of patience: one thread each is enough here."""
    import threading  # only here

    listeners = [socket.create_server((host, port)) for port in ports]
    print("ready", flush=True)
    threads = [threading.Thread(target=_greet, args=(listener, text)) for listener in listeners]
    for thread in threads:
        thread.start()


def serve(*arguments: str) -> None:
    ports = [int(item) for item in arguments if item.isdigit()]
    host = next((item for item in arguments if not item.isdigit()), "0.0.0.0")
    _listen("app", host, ports)


def proxy(*ports: str) -> None:
    _listen("proxy", "0.0.0.0", [int(port) for port in ports])


def gateway(path: str) -> None:
    """An echo behind a unix socket."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(b"gateway:" + data)
            await writer.drain()
        writer.close()

    async def run() -> None:
        server = await asyncio.start_unix_server(echo, path)
        print("ready", flush=True)
        await server.serve_forever()

    asyncio.run(run())


def call(address: str, port: str, source: str = "-", mark: str = "") -> None:
    client = socket.socket()
    client.settimeout(10)
    if mark:
        client.setsockopt(socket.SOL_SOCKET, SO_MARK, 1337)
    if source != "-":
        client.bind((source, 0))
    client.connect((address, int(port)))
    print(client.recv(4096).decode().strip())
    client.close()


def attempt(address: str, port: str) -> None:
    """As `call`, but a refusal is printed as its name."""
    try:
        call(address, port)
    except OSError as error:
        print(errno.errorcode.get(error.errno or 0, str(error)))


def echo(port: str) -> None:
    """One connection's bytes come back."""
    with socket.create_server(("0.0.0.0", int(port))) as listener:
        print("ready", flush=True)
        connection, _ = listener.accept()
        while data := connection.recv(4096):
            connection.sendall(data)


def converse(address: str, port: str) -> None:
    """Say something to an echo, and something else when SIGUSR1 comes."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    with socket.create_connection((address, int(port)), 10) as client:
        client.sendall(b"ready")
        print(client.recv(100).decode(), flush=True)
        signal.sigwait({signal.SIGUSR1})
        client.sendall(b"again")
        print(client.recv(100).decode(), flush=True)


def many(program: str, *lines: str) -> None:
    """One of the programs here for every line of arguments, without a new process for each."""
    for line in lines:
        globals()[program](*line.split())


def ask(transport: str, name: str, kind: str, server: str = "") -> None:
    """One DNS query; prints code, addresses, whether it was cut, and whether the answer names the question."""
    if not server:
        lines = Path("/etc/resolv.conf").read_text(encoding="ascii").splitlines()
        server = next(line.split()[1] for line in lines if line.startswith("nameserver"))
    number = random.randrange(65_536)
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    query = struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", int(kind), 1)
    if transport == "udp":
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.settimeout(10)
        client.sendto(query, (server, 53))
        reply = client.recv(65_535)
    else:
        client = socket.create_connection((server, 53), 10)
        client.sendall(struct.pack(">H", len(query)) + query)
        stream = client.makefile("rb")
        (length,) = struct.unpack(">H", stream.read(2))
        reply = stream.read(length)
    print(json.dumps(_read(query, reply)))


def _read(query: bytes, reply: bytes) -> dict[str, object]:
    number, flags, _, answers, _, _ = struct.unpack_from(">6H", reply)
    position = len(query)
    found: list[str] = []
    for _ in range(answers):
        _, kind, _, _, length = struct.unpack_from(">HHHIH", reply, position)
        packed = reply[position + 12 : position + 12 + length]
        found.append(socket.inet_ntop(socket.AF_INET if kind == 1 else socket.AF_INET6, packed))
        position += 12 + length
    same = number == struct.unpack_from(">H", query)[0] and reply[12 : len(query)] == query[12:]
    return {"code": flags & 15, "addresses": found, "cut": bool(flags & 0x200), "same": same}


def rubbish() -> None:
    """Bytes that are no DNS, by UDP and by TCP."""
    source = random.Random(7)
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for length in (0, 1, 11, 12, 13, 40, 400):
        for _ in range(20):
            client.sendto(source.randbytes(length), ("10.244.0.1", 53))
    for _ in range(10):
        with socket.create_connection(("10.244.0.1", 53), 10) as stream:
            stream.sendall(source.randbytes(300))


def connect(path: str) -> None:
    socket.socket(socket.AF_UNIX).connect(path)


def raw() -> None:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)


def mark() -> None:
    socket.socket().setsockopt(socket.SOL_SOCKET, SO_MARK, 1337)


if __name__ == "__main__":
    sys.path.pop(0)
    globals()[sys.argv[1]](*sys.argv[2:])
