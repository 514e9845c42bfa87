"""A small curl for machines without one: the options, outputs and exit codes that scripts rely on (HTTP/1.1)."""

from __future__ import annotations

import os
import sys
import time
from typing import BinaryIO, Self

from meshwright.images.curl_options import CurlError, Options, parse
from meshwright.images.curl_output import Result, write_out
from meshwright.images.curl_transfer import Transfer
from meshwright.images.http11 import BadMessageError, ClosedError

_VERSION = "curl 8.0.0 (meshwright) HTTP/1.1 client of meshwright\nProtocols: http https\n"
_HELP = "usage: curl [options...] <url>   (the options that scripts use; HTTP/1.1 only)\n"
_RETRIED = frozenset({408, 429, 500, 502, 503, 504})


def main() -> int:
    """Run with the words of the command line; the exit code is curl's."""
    try:
        options = parse(sys.argv[1:])
    except CurlError as error:
        return complain(error, silent=False)
    if {"version", "help"} & options.flags:
        sys.stdout.write(_VERSION if "version" in options.flags else _HELP)
        return 0
    if not options.urls:
        return complain(CurlError(2, "no URL specified"), silent=False)
    code = 0
    try:
        for index, url in enumerate(options.urls):
            code = one_url(options, url, index)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 23
    return code


def one_url(options: Options, url: str, index: int) -> int:
    """Transfer one URL, with retries; its exit code."""
    left = int(options.number("retry", 0))
    wait = options.number("retry-delay", 0) or 1.0
    while True:
        result = Result(url)
        error = attempt(options, url, result, index)
        if left <= 0 or not retried(options, result, error):
            break
        left -= 1
        time.sleep(wait)
        if not options.last("retry-delay"):
            wait *= 2
    silent = "silent" in options.flags and "show-error" not in options.flags
    code = complain(error, silent=silent) if error else 0
    result.exit_code, result.error = code, str(error or "")
    if options.last("write-out"):
        sys.stdout.buffer.write(write_out(options.last("write-out"), result))
        sys.stdout.flush()
    return code


def attempt(options: Options, url: str, result: Result, index: int) -> CurlError | None:
    """Transfer once; what went wrong, if anything."""
    try:
        transfer = Transfer(options, url, result)
        with Output(options, url, index) as output:
            transfer.run(output)
    except CurlError as error:
        return error
    except TimeoutError:
        spent = int((time.monotonic() - result.begin) * 1000)
        return CurlError(28, f"Operation timed out after {spent} milliseconds")
    except ClosedError as error:
        if not result.begun:
            return CurlError(52, "Empty reply from server")
        return (
            CurlError(56, f"Recv failure: {error}")
            if result.reset(error)
            else CurlError(18, "end of response data closed early")
        )
    except BadMessageError as error:
        return CurlError(8 if error.status == 431 else 1, f"Weird server reply: {error}")
    finally:
        result.finish()
    return None


def retried(options: Options, result: Result, error: CurlError | None) -> bool:
    """Whether curl would try again."""
    if "retry-all-errors" in options.flags and error:
        return True
    if error and error.code == 7:
        return "retry-connrefused" in options.flags
    return result.status in _RETRIED or (error is not None and error.code == 28)


def complain(error: CurlError, *, silent: bool) -> int:
    """Print an error as curl does; its code."""
    if not silent:
        sys.stdout.flush()
        sys.stderr.write(f"curl: ({error.code}) {error}\n")
    return error.code


class Output:
    """Where bodies go: standard output, a file (`-o`, made when there is something to write), or nowhere."""

    def __init__(self, options: Options, url: str, index: int) -> None:
        names = options.all("output")
        self._name = names[min(index, len(names) - 1)] if names else ""
        if "remote-name" in options.flags and not self._name:
            self._name = url.partition("?")[0].rpartition("/")[2]
            if not self._name or "/" not in url.partition("://")[2]:
                raise CurlError(23, "Remote file name has no length")
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None and self._file is not sys.stdout.buffer:
            self._file.close()

    def _opened(self) -> BinaryIO:
        file = self._file
        if file is None:
            named = self._name and self._name != "-"
            file = self._file = open(self._name, "wb") if named else sys.stdout.buffer  # noqa: PTH123, SIM115
        return file

    def write(self, data: bytes) -> None:
        """Write a piece at once; exit code 23 when that fails."""
        try:
            file = self._opened()
            file.write(data)
            file.flush()
        except OSError as error:
            raise CurlError(23, f"Failure writing output to destination: {error.strerror}") from error


if __name__ == "__main__":
    sys.exit(main())
