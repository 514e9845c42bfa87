"""Answers that are too large for a line: a file in memory, whose descriptor goes beside the answer."""

import os


def spool(data: bytes) -> int:
    """A descriptor of a new file without a name that holds `data`, at its start; the caller's to close."""
    descriptor = os.memfd_create("answer", os.MFD_CLOEXEC)
    try:
        write_all(descriptor, data)
        os.lseek(descriptor, 0, os.SEEK_SET)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def read_spools(descriptors: list[int]) -> list[bytes]:
    """The content of each, which is closed."""
    contents: list[bytes] = []
    for descriptor in descriptors:
        with os.fdopen(descriptor, "rb") as file:
            contents.append(file.read())
    return contents
