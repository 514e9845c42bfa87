"""One TCP exchange: `line.py HOST PORT TEXT` sends the line and prints what comes back."""

import socket
import sys


def main() -> None:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10) as connection:
        connection.sendall(sys.argv[3].encode() + b"\n")
        print(connection.recv(4096).decode(), end="")


if __name__ == "__main__":
    main()
