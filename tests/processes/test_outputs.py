"""Output files are cut when they grow too large, and their writers go on."""

import os
from pathlib import Path

import pytest

from meshwright.processes.messages import BadRequest
from meshwright.processes.outputs import Outputs


def test_a_large_file_is_cut_under_its_writer(tmp_path: Path) -> None:
    outputs = Outputs(largest=1000, kept=100)
    path = tmp_path / "pod" / "app.log"
    writer = outputs.open(str(path))
    os.write(writer, b"a" * 950 + b"b" * 100)
    outputs.cut_large()
    os.write(writer, b"next\n")
    assert path.read_bytes() == b"next\n"
    assert (tmp_path / "pod" / "app.log.1").read_bytes() == b"b" * 100
    outputs.cut_large()
    assert path.read_bytes() == b"next\n"
    os.close(writer)
    path.unlink()
    outputs.cut_large()


def test_bad_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for name in ("relative.log", str(tmp_path), str(tmp_path / "link")):
        with pytest.raises(BadRequest, match="output"):
            Outputs().open(name)
