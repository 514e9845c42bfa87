"""DNS messages and tables, without a network."""

import asyncio
import os
import struct
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshwright.processes import dns, dnsmessage
from meshwright.processes.dnsmessage import MalformedQuery
from meshwright.processes.upstream import ask, host_resolvers

LABEL = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=63)
NAME = st.lists(LABEL, min_size=1, max_size=4).map(".".join)


def query(name: str, kind: int = dnsmessage.A, *, number: int = 7, edns: int = 0) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    head = struct.pack(">6H", number, 0x0100, 1, 0, 0, 1 if edns else 0)
    tail = b"\0" + struct.pack(">HHIH", dnsmessage.OPT, edns, 0, 0) if edns else b""
    return head + labels + b"\0" + struct.pack(">HH", kind, 1) + tail


@given(st.binary(max_size=600))
def test_any_bytes_are_parsed_or_refused(data: bytes) -> None:
    try:
        parsed = dnsmessage.parse(data)
    except MalformedQuery:
        return
    assert dnsmessage.answer(parsed, dnsmessage.NXDOMAIN)[:2] == data[:2]


@given(st.binary(min_size=12, max_size=300), st.integers(0, 40))
def test_bytes_that_look_like_a_query(data: bytes, cut: int) -> None:
    shaped = data[:2] + struct.pack(">5H", 0x0100, 1, 0, 0, 1) + data[12:]
    try:
        dnsmessage.parse(shaped[: len(shaped) - cut])
    except MalformedQuery:
        return


@given(NAME, st.sampled_from([0, 512, 1232, 4096, 65_535]))
def test_names_survive(name: str, edns: int) -> None:
    parsed = dnsmessage.parse(query(name.upper(), edns=edns))
    assert parsed.name == name
    assert parsed.edns == bool(edns)
    assert 512 <= parsed.size <= 1232
    reply = dnsmessage.answer(parsed, dnsmessage.NOERROR, ("1.2.3.4",))
    assert reply[12 : 12 + len(parsed.question)] == parsed.question, "letters come back as they were sent"


@given(st.integers(0, 300), st.sampled_from([0, 4096]))
def test_answers_fit_or_say_that_they_are_cut(count: int, edns: int) -> None:
    parsed = dnsmessage.parse(query("a.b", edns=edns))
    addresses = tuple(f"10.0.{number // 250}.{number % 250}" for number in range(count))
    reply = dnsmessage.answer(parsed, dnsmessage.NOERROR, addresses)
    assert len(reply) <= parsed.size
    flags, _, answers = struct.unpack_from(">3H", reply, 2)
    assert bool(flags & 0x0200) == (answers < count)
    whole = dnsmessage.answer(parsed, dnsmessage.NOERROR, addresses, tcp=True)
    assert struct.unpack_from(">H", whole, 6)[0] == count


def test_an_answer_is_never_answered() -> None:
    data = bytearray(query("a.b"))
    data[2] |= 0x80
    with pytest.raises(MalformedQuery) as caught:
        dnsmessage.parse(bytes(data))
    assert caught.value.number is None


def test_tables() -> None:
    table = dns.Table.build(
        ["cluster.local"],
        {"A.ns.svc.cluster.local.": ["1.1.1.1"], "*.example.com": ["2.2.2.2"], "*.deep.example.com": ["3.3.3.3"]},
    )
    assert table.find("a.ns.svc.cluster.local") == ("1.1.1.1",)
    assert table.find("x.example.com") == ("2.2.2.2",)
    assert table.find("y.x.deep.example.com") == ("3.3.3.3",)
    assert table.find("example.com") == ()
    assert table.find("ns.svc.cluster.local") == ()
    assert table.find("b.ns.svc.cluster.local") is None
    assert table.ours("b.ns.svc.cluster.local")
    assert table.ours("single")
    assert not table.ours("www.example.org")
    with pytest.raises(ValueError, match="not-an-address"):
        dns.Table.build([], {"a.b": ["not-an-address"]})


def test_the_hosts_resolver_is_asked_by_udp_and_then_by_tcp() -> None:
    """A resolver of our own on a loopback address: its UDP answer is cut, so TCP has to bring the whole one."""

    class Resolver(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast("asyncio.DatagramTransport", transport)

        def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
            self.transport.sendto(dnsmessage.truncated(dnsmessage.parse(data)), addr)

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (length,) = struct.unpack(">H", await reader.readexactly(2))
        reply = dnsmessage.answer(dnsmessage.parse(await reader.readexactly(length)), 0, ("9.9.9.9",), tcp=True)
        writer.write(struct.pack(">H", len(reply)) + reply)
        writer.close()

    async def run() -> bytes | None:
        address = f"127.77.{os.getpid() % 250}.1"
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(Resolver, local_addr=(address, 53))
        server = await asyncio.start_server(conversation, address, 53)
        try:
            # Nobody listens at the first address: the second one has to be asked.
            return await ask(query("www.example.org"), ("127.78.0.1", address))
        finally:
            transport.close()
            server.close()

    reply = asyncio.run(run())
    assert reply is not None
    assert reply.endswith(bytes([9, 9, 9, 9]))


def test_the_hosts_resolvers() -> None:
    text = (
        "# comment\nnameserver 10.0.0.2\nsearch x\nnameserver fe80::1%eth0\nnameserver\nnameserver 1\nnameserver 2\n"
    )
    assert host_resolvers(text) == ("10.0.0.2", "fe80::1%eth0", "1")
