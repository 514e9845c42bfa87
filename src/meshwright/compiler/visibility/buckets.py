"""Services in a fixed number of groups by host, so that a change of one service concerns one group only."""

from zlib import crc32

BUCKETS = 64


def bucket_of(host: str) -> int:
    """The group of a host, the same in every process and whether or not a service has the host."""
    return crc32(host.encode()) % BUCKETS
