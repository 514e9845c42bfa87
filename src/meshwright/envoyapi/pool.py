"""Names of Envoy's messages become their classes, out of a descriptor pool of our own.

The pool is filled from ``descriptors.binpb`` at its first use, not at import. It is private: nothing is registered
in protobuf's default pool, so other distributions with an ``envoy`` or ``opentelemetry`` package do not clash. The
price is that messages of ``google.protobuf.*_pb2`` do not fit into ours; use ``meshwright.envoyapi.google.protobuf``.

The generated modules (``meshwright.envoyapi.envoy...``) are the usual way to a class; this module is for full names
that are known only at run time, and for JSON.
"""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

DESCRIPTORS = Path(__file__).with_name("descriptors.binpb")
TYPE_URL_PREFIX = "type.googleapis.com/"

_loaded_once: dict[str, tuple[DescriptorPool, tuple[str, ...]]] = {}
"""At most one entry: the pool and the names of its files."""

AnyMessage = TypeVar("AnyMessage", bound=Message)


class NotGeneratedError(Exception):
    """The generated part of this package is absent; the text says what to run."""

    def __init__(self) -> None:
        super().__init__("Envoy's message descriptors have not been generated: run make setup")


class UnknownTypeError(LookupError):
    """The pinned Envoy has no message of this name."""

    def __init__(self, full_name: str) -> None:
        super().__init__(f"this version of Envoy has no message {full_name}")
        self.full_name = full_name


def pool() -> DescriptorPool:
    """The one private pool, filled at the first call (about 12 ms). Raises NotGeneratedError."""
    return _loaded()[0]


def _loaded() -> tuple[DescriptorPool, tuple[str, ...]]:
    """The pool and its files. Two threads may both read them, but all get the one that was first to be kept."""
    return _loaded_once.get("") or _loaded_once.setdefault("", _read())


def _read() -> tuple[DescriptorPool, tuple[str, ...]]:
    from google.protobuf.descriptor_pb2 import FileDescriptorSet

    try:
        data = DESCRIPTORS.read_bytes()
    except FileNotFoundError:
        raise NotGeneratedError from None
    files = FileDescriptorSet.FromString(data).file
    filled = DescriptorPool()
    for file in files:
        filled.AddSerializedFile(file.SerializeToString())
    return filled, tuple(file.name for file in files)


def file_names() -> tuple[str, ...]:
    """All proto files of this Envoy, imports before importers."""
    return _loaded()[1]


def find(full_name: str) -> Descriptor:
    """The descriptor of ``envoy.config.cluster.v3.Cluster`` and the like. Raises UnknownTypeError."""
    try:
        return pool().FindMessageTypeByName(full_name)
    except KeyError:
        raise UnknownTypeError(full_name) from None


@cache
def message_class(full_name: str) -> type[Message]:
    """The class of a message by its full name. Raises UnknownTypeError."""
    return GetMessageClass(find(full_name))


def class_of_url(type_url: str) -> type[Message]:
    """The class an Any's ``@type`` names (what stands behind its last slash). Raises UnknownTypeError."""
    return message_class(type_url.rpartition("/")[2])


@cache
def known_types() -> frozenset[str]:
    """The full names of all messages, nested ones included; an Any of another ``@type`` is refused by Envoy."""
    names: set[str] = set()

    def visit(message: Descriptor) -> None:
        names.add(message.full_name)
        for nested in message.nested_types:
            visit(nested)

    for name in file_names():
        for message in pool().FindFileByName(name).message_types_by_name.values():
            visit(message)
    return frozenset(names)


def to_json_dict(message: Message) -> dict[str, Any]:
    """The proto JSON of a message with the field names of the proto files; Anys are resolved and written out.

    Raises TypeError when an Any in it names a type that this Envoy does not have.
    """
    from google.protobuf import json_format

    return json_format.MessageToDict(message, preserving_proto_field_name=True, descriptor_pool=pool())


def parse_json(value: Mapping[str, Any], message: AnyMessage) -> AnyMessage:
    """Merge proto JSON (both spellings of field names, ``@type`` in Anys) into `message` and give it back.

    Raises google.protobuf.json_format.ParseError with the path of what does not fit.
    """
    from google.protobuf import json_format

    return json_format.ParseDict(dict(value), message, descriptor_pool=pool())


def module(proto: str, namespace: dict[str, Any]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The ``__getattr__`` and ``__dir__`` (PEP 562) of the generated module of one proto file.

    Names are those of protoc's Python: messages, enums, their values, extensions, ``X_FIELD_NUMBER`` of extensions
    and ``DESCRIPTOR``. What was found once stands in `namespace`, so later reads are plain attribute reads.
    """

    def get(name: str) -> Any:
        file = pool().FindFileByName(proto)
        if name.startswith("__") or (found := _member(file, name)) is None:
            raise AttributeError(f"module {namespace['__name__']!r} has no attribute {name!r}", name=name)
        namespace[name] = found
        return found

    def names() -> list[str]:
        file = pool().FindFileByName(proto)
        members = {"DESCRIPTOR", *file.message_types_by_name, *file.enum_types_by_name, *file.extensions_by_name}
        members.update(value for enum in file.enum_types_by_name.values() for value in enum.values_by_name)
        return sorted(members | {name for name in namespace if name.startswith("__")})

    return get, names


def _member(file: FileDescriptor, name: str) -> Any:
    """One top-level thing of a proto file by its Python name; None when there is none."""
    if name == "DESCRIPTOR":
        return file
    if name in file.message_types_by_name:
        return GetMessageClass(file.message_types_by_name[name])
    if name in file.enum_types_by_name:
        return EnumTypeWrapper(file.enum_types_by_name[name])
    if name in file.extensions_by_name:
        return file.extensions_by_name[name]
    for enum in file.enum_types_by_name.values():
        if name in enum.values_by_name:
            return enum.values_by_name[name].number
    for extension in file.extensions_by_name.values():
        if name == f"{extension.name.upper()}_FIELD_NUMBER":
            return extension.number
    return None
