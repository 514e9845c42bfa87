"""Captures what crosses eth0 of the network namespace it runs in: `sniff.py SECONDS`.

Prints READY when it listens and at the end, in hex, the TCP payloads it saw, one line per packet.
"""

import socket
import sys
import time

ETH_P_ALL = 3


def payload(frame: bytes) -> bytes:
    """The TCP payload of an Ethernet frame, b"" for anything else."""
    if frame[12:14] != b"\x08\x00" or frame[23] != 6:
        return b""
    header = 14 + (frame[14] & 15) * 4
    total = 14 + int.from_bytes(frame[16:18], "big")
    return frame[header + (frame[header + 12] >> 4) * 4 : total]


def main() -> None:
    capture = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    capture.bind(("eth0", 0))
    capture.settimeout(0.1)
    print("READY", flush=True)
    end = time.monotonic() + float(sys.argv[1])
    seen: list[bytes] = []
    while time.monotonic() < end:
        try:
            seen.append(payload(capture.recv(65536)))
        except TimeoutError:
            continue
    for data in filter(None, seen):
        print(data.hex())


if __name__ == "__main__":
    main()
