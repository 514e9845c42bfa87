"""The output of containers: the last lines of a file, times of lines, and what comes while one looks."""

from pathlib import Path

import pytest

from meshwright.cli import log_reader
from meshwright.cli.log_reader import Line, read, read_lines
from meshwright.processes.logtimes import LogClock, Mark

NOON = 1_700_000_000_123
NOON_TEXT = "2023-11-14T22:13:20.123Z"


@pytest.mark.parametrize("content", [b"", b"\n", b"one", b"one\n", b"a\nb\nc\n", b"a\nb\nc", b"a\n\n\n", b"\n\nx\n"])
@pytest.mark.parametrize("lines", [0, 1, 2, 3, 9])
@pytest.mark.parametrize("piece", [1, 2, 1000])
def test_the_last_lines(
    content: bytes, lines: int, piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_reader, "PIECE", piece)
    log = tmp_path / "log"
    log.write_bytes(content)
    wanted = content.splitlines(keepends=True)[-lines:] if lines else []
    assert b"".join(read(log, lines, follow=False)) == b"".join(wanted)
    told = [line.text for line in read_lines(log, lines, follow=False)]
    assert told == [line.decode().removesuffix("\n") for line in wanted]


def test_lines_have_the_times_that_are_known(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"first\r\nsecond \xff\nthird")
    assert {line.time for line in read_lines(log, None, follow=False)} == {None}
    LogClock.append(log, Mark(0, NOON - 1000, start=True))
    LogClock.append(log, Mark(len(b"first\r\nsecond"), NOON))
    assert list(read_lines(log, None, follow=False)) == [
        Line("first", NOON_TEXT),
        Line("second \ufffd", None),
        Line("third", None),
    ]


def test_a_file_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert list(read_lines(tmp_path / "none", 5, follow=False)) == []


def test_what_comes_is_told_when_its_line_ends_also_after_a_cut(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"old\nnew\nha")
    told = read_lines(log, 1, follow=True)
    with log.open("ab") as file:
        file.write(b"lf\n")
    assert next(told) == Line("half", None)
    with log.open("ab") as file:
        file.write(b"timed\n")
    LogClock.append(log, Mark(log.stat().st_size, NOON))
    assert next(told) == Line("timed", NOON_TEXT)
    log.write_bytes(b"cut\n")
    log.with_name("log.times").unlink()
    assert next(told) == Line("cut", None)
