"""The extractor on small binaries made here and on damaged copies of Envoy: complete, or one clear sentence."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from tools import envoyapi
from tools.envoyapi import ANCHORS, DESCRIPTORS, STAMP, GenerationError, envoy_binary, extract, generate, module_path


def proto(name: str, *imports: str) -> FileDescriptorProto:
    package = name.removesuffix(".proto").replace("/", ".").replace("-", "_")
    made = FileDescriptorProto(name=name, package=package, syntax="proto3", dependency=imports)
    made.message_type.add(name="M").field.add(name="a", number=1, type="TYPE_STRING", label="LABEL_OPTIONAL")
    return made


def binary(folder: Path, *files: FileDescriptorProto, without: str = "") -> Path:
    """Files as a C++ program holds them: serialised, a zero byte behind each, other bytes between."""
    anchors = [proto(name) for name in ANCHORS if name != without]
    path = folder / "program"
    path.write_bytes(
        b"\x7fELF" + b"\0\x0a\x0a\x0b".join((b"", *(f.SerializeToString() + b"\0" for f in (*files, *anchors))))
    )
    return path


def test_imports_come_before_importers(tmp_path: Path) -> None:
    program = binary(tmp_path, proto("b.proto", "z.proto", "a.proto"), proto("a.proto", "z.proto"), proto("z.proto"))
    names = [file.name for file in extract(program)]
    assert [name for name in names if "/" not in name] == ["z.proto", "a.proto", "b.proto"]


@pytest.mark.parametrize("length", [7, 126, 127, 128, 129, 200, 300])
def test_names_of_any_length_are_found(tmp_path: Path, length: int) -> None:
    name = "x" * (length - len(".proto")) + ".proto"
    assert name in [file.name for file in extract(binary(tmp_path, proto(name)))]


def test_of_two_copies_the_whole_one_is_taken(tmp_path: Path) -> None:
    whole = proto("a.proto")
    part = FileDescriptorProto(name="a.proto", package="a")
    for order in ((whole, part), (part, whole)):
        assert whole in extract(binary(tmp_path, *order))


def test_an_import_that_nothing_resolves_is_named(tmp_path: Path) -> None:
    with pytest.raises(GenerationError, match=r"1 proto files are missing.*gone\.proto \(imported by a\.proto\)"):
        extract(binary(tmp_path, proto("a.proto", "gone.proto")))


@pytest.mark.parametrize("anchor", ANCHORS)
def test_what_every_envoy_has_is_demanded(tmp_path: Path, anchor: str) -> None:
    with pytest.raises(GenerationError, match=anchor):
        extract(binary(tmp_path, without=anchor))


def test_a_descriptor_that_protobuf_refuses_is_named(tmp_path: Path) -> None:
    bad = proto("a.proto")
    bad.message_type[0].field.add(
        name="b", number=2, type="TYPE_MESSAGE", type_name=".no.Such", label="LABEL_OPTIONAL"
    )
    with pytest.raises(GenerationError, match=r"refuses the descriptor of a\.proto"):
        extract(binary(tmp_path, bad))


def test_a_descriptor_with_wrong_bytes_is_named(tmp_path: Path) -> None:
    program = binary(tmp_path, proto("a.proto"))
    data = program.read_bytes()
    program.write_bytes(data.replace(b'"\x0e\x0a\x01M', b'"\x0e\xff\xff\xff', 1))
    with pytest.raises(GenerationError, match=r"damaged descriptor of a\.proto"):
        extract(program)


def test_a_file_that_ends_within_a_descriptor_is_refused(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF\0" + proto("a.proto").SerializeToString()[:-10])
    with pytest.raises(GenerationError):
        extract(program)


@pytest.mark.parametrize(("content", "said"), [(b"", "empty"), (b"\x7fELF" + b"\0" * 999, "no protobuf descriptors")])
def test_something_else_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    program = tmp_path / "program"
    program.write_bytes(content)
    with pytest.raises(GenerationError, match=said):
        extract(program)


def test_a_truncated_envoy_is_refused(tmp_path: Path) -> None:
    """Cut in the middle of its descriptors: whatever is then missing, it is never a smaller package."""
    real, _ = envoy_binary()
    data = real.read_bytes()
    first = data.index(b"envoy/extensions/clusters/aggregate/v3/cluster.proto\x12")
    last = data.rindex(b"google/protobuf/descriptor.proto\x12")
    cut = tmp_path / "envoy"
    for share in (0.1, 0.5, 0.9):
        cut.write_bytes(data[: int(first + (last - first) * share)])
        with pytest.raises(GenerationError):
            extract(cut)


def test_a_binary_that_is_not_the_installed_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GenerationError, match="reinstall"):
        generate(tmp_path, binary(tmp_path), "00" * 32, stubs=False)
    assert not (tmp_path / STAMP).exists()


def test_a_name_that_no_module_can_have_is_refused() -> None:
    assert module_path("language-agent/Tracing.proto").as_posix() == "language_agent/Tracing_pb2.py"
    with pytest.raises(GenerationError, match="'class'"):
        module_path("a/class/b.proto")


def test_the_same_binary_gives_the_same_files_and_the_second_run_does_nothing(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    program = binary(tmp_path, proto("a/b.proto", "a/c.proto"), proto("a/c.proto"))
    assert generate(first, program, "", stubs=True) is not None
    assert generate(second, program, "", stubs=True) is not None
    assert tree(first) == tree(second)
    assert generate(first, program, "", stubs=True) is None
    assert generate(first, program, "", stubs=False) is None
    os.utime(program, (1, 1))
    assert generate(first, program, "", stubs=True) is None
    assert tree(first) != tree(second), "the stamp remembers the new time"


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_stubs_come_later_and_another_binary_replaces_everything(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "pool.py").write_text("ours")
    program = binary(tmp_path, proto("old/a.proto"), proto("top.proto"))
    generate(target, program, "", stubs=False)
    assert not list(target.rglob("*.pyi"))
    generate(target, program, "", stubs=True)
    assert (target / "old/a_pb2.pyi").exists()
    generate(target, binary(tmp_path, proto("new/a.proto")), "", stubs=False)
    assert (target / "new/a_pb2.py").exists()
    assert not (target / "old").exists()
    assert not list(target.glob("top_pb2*"))
    assert (target / "pool.py").read_text() == "ours"
    kept = FileDescriptorSet.FromString((target / DESCRIPTORS).read_bytes())
    assert "new/a.proto" in [file.name for file in kept.file]


def test_others_can_read_it_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        generate(tmp_path, binary(tmp_path, proto("a/b.proto")), "", stubs=False)
    finally:
        os.umask(old)
    for path in (
        tmp_path / "a",
        tmp_path / "a/b_pb2.py",
        tmp_path / "a/__init__.py",
        tmp_path / DESCRIPTORS,
        tmp_path / STAMP,
    ):
        assert path.stat().st_mode & stat.S_IROTH, path


def test_a_killed_run_leaves_nothing_half_made(tmp_path: Path) -> None:
    """Killed at many moments of a real generation: either there is no stamp, or all of it is there; then it heals."""
    code = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1]); from tools.envoyapi import *\n"
        "path, digest = envoy_binary(); print('go', flush=True)\n"
        "generate(pathlib.Path(sys.argv[2]), path, digest, stubs=False)"
    )
    root = str(Path(envoyapi.__file__).parent.parent)
    for pause in (0.0, 0.3, 0.5, 0.6, 0.65, 0.7, 0.8):
        process = subprocess.Popen([sys.executable, "-c", code, root, str(tmp_path)], stdout=subprocess.PIPE)
        with process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(pause)
            process.send_signal(signal.SIGKILL)
        stamp = envoyapi.read_stamp(tmp_path)
        if stamp is not None:
            assert len(list(tmp_path.rglob("*_pb2.py"))) == stamp.files
            (tmp_path / STAMP).unlink()
    path, digest = envoy_binary()
    stamp = generate(tmp_path, path, digest, stubs=False)
    assert stamp is not None
    assert len(list(tmp_path.rglob("*_pb2.py"))) == stamp.files > 500
    assert not list(tmp_path.glob(".new-*"))
