"""The generated package: every module imports, every name in it resolves, messages behave as protobuf's own do."""

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
from google.protobuf import duration_pb2 as global_duration
from google.protobuf.json_format import ParseError
from google.protobuf.message import Message

from meshwright.envoyapi import pool
from meshwright.envoyapi.envoy.config.cluster.v3 import cluster_pb2
from meshwright.envoyapi.envoy.config.cluster.v3.cluster_pb2 import Cluster
from meshwright.envoyapi.envoy.config.core.v3 import base_pb2
from meshwright.envoyapi.google.protobuf.any_pb2 import Any
from meshwright.envoyapi.google.protobuf.duration_pb2 import Duration
from meshwright.envoyapi.google.protobuf.struct_pb2 import Struct
from meshwright.envoyapi.google.protobuf.timestamp_pb2 import Timestamp
from meshwright.envoyapi.google.protobuf.wrappers_pb2 import UInt32Value
from meshwright.envoyapi.validate import validate_pb2
from tools.envoyapi import PACKAGE, TARGET, module_path


def module_of(proto: str) -> str:
    return ".".join((PACKAGE, *module_path(proto).with_suffix("").parts))


def test_every_module_imports_and_every_name_in_it_resolves() -> None:
    names = 0
    for proto in pool.file_names():
        module = importlib.import_module(module_of(proto))
        assert module.DESCRIPTOR.name == proto
        for name in dir(module):
            assert getattr(module, name) is not None, f"{proto}: {name}"
            names += 1
    assert names > len(pool.file_names())


def test_every_message_can_be_made_and_written() -> None:
    assert len(pool.known_types()) > 1000
    for name in sorted(pool.known_types()):
        made = pool.message_class(name)()
        assert made.DESCRIPTOR.full_name == name
        assert made.SerializePartialToString() == b""


@pytest.mark.parametrize(
    "name",
    [
        "envoy.extensions.access_loggers.stats.v3.Config",
        "envoy.config.listener.v3.Listener",
        "envoy.config.route.v3.RouteAction.HashPolicy.Cookie",
        "envoy.service.discovery.v3.DeltaDiscoveryResponse",
        "google.protobuf.Any",
        "google.rpc.Status",
        "xds.type.v3.TypedStruct",
    ],
)
def test_the_types_we_use_are_in_this_envoy(name: str) -> None:
    assert name in pool.known_types()


def test_names_are_those_of_protoc() -> None:
    assert cluster_pb2.Cluster is Cluster is pool.message_class("envoy.config.cluster.v3.Cluster")
    assert (Cluster.EDS, Cluster.DiscoveryType.Value("EDS")) == (3, 3)
    assert (base_pb2.INBOUND, base_pb2.TrafficDirection.Value("INBOUND")) == (1, 1)
    assert validate_pb2.rules.full_name == "validate.rules"
    assert validate_pb2.rules.number == validate_pb2.RULES_FIELD_NUMBER


@pytest.mark.parametrize("name", ["Clusters", "__path__", "cluster_FIELD_NUMBER"])
def test_an_unknown_name_is_an_attribute_error(name: str) -> None:
    with pytest.raises(AttributeError, match=name):
        getattr(cluster_pb2, name)


def test_the_same_any_has_the_same_bytes_whatever_the_order_of_insertion() -> None:
    packed = [packed_metadata(order) for order in (("a", "b", "c"), ("c", "a", "b"), ("b", "c", "a"))]
    assert len({one.SerializeToString(deterministic=True) for one in packed}) == 1
    unpacked = Cluster()
    assert packed[0].Is(Cluster.DESCRIPTOR)  # pyright: ignore[reportArgumentType] - the stub of Is knows one class of two
    assert packed[0].Unpack(unpacked)
    assert unpacked == cluster_of_metadata(("c", "b", "a"))


def packed_metadata(keys: tuple[str, ...]) -> Any:
    packed = Any()
    packed.Pack(cluster_of_metadata(keys), deterministic=True)
    return packed


def cluster_of_metadata(keys: tuple[str, ...]) -> Cluster:
    made = Cluster(name="c")
    for key in keys:
        made.metadata.filter_metadata[key].update({"key": key})
    return made


def test_well_known_types_keep_their_methods() -> None:
    duration = Duration()
    duration.FromMilliseconds(1500)
    assert duration.ToJsonString() == "1.500s"
    time = Timestamp()
    time.FromSeconds(0)
    assert time.ToJsonString() == "1970-01-01T00:00:00Z"
    struct = Struct()
    struct.update({"a": {"b": [1, "x", None, True]}})
    assert pool.to_json_dict(struct) == {"a": {"b": [1, "x", None, True]}}
    assert UInt32Value(value=3).value == 3


def test_the_pool_is_private() -> None:
    with pytest.raises(TypeError):
        Cluster(connect_timeout=global_duration.Duration(seconds=1))  # pyright: ignore[reportArgumentType]


def test_json_goes_there_and_back_with_anys_resolved() -> None:
    packed = packed_metadata(("a",))
    written = pool.to_json_dict(packed)
    assert written["@type"] == "type.googleapis.com/envoy.config.cluster.v3.Cluster"
    assert written["metadata"] == {"filter_metadata": {"a": {"key": "a"}}}
    assert pool.parse_json(written, Any()) == packed


def test_json_with_a_wrong_field_says_which() -> None:
    with pytest.raises(ParseError, match="lb_polcy"):
        pool.parse_json({"lb_polcy": "RANDOM"}, Cluster())


def test_an_unknown_type_is_refused_by_name() -> None:
    with pytest.raises(pool.UnknownTypeError, match=r"no message a\.B"):
        pool.class_of_url("type.googleapis.com/a.B")


def in_a_new_process(code: str, *path: str) -> str:
    command = [sys.executable, "-c", code, *path]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=50).stdout.strip()


def test_importing_loads_no_descriptor() -> None:
    code = (
        "import meshwright.envoyapi.envoy.config.cluster.v3.cluster_pb2 as m; from meshwright.envoyapi import pool;"
        "print(len(pool._loaded_once)); m.Cluster; print(len(pool._loaded_once))"
    )
    assert in_a_new_process(code).split() == ["0", "1"]


def test_threads_that_start_at_once_share_one_pool() -> None:
    code = (
        "import concurrent.futures as f; from meshwright.envoyapi import pool\n"
        "name = 'envoy.config.cluster.v3.Cluster'\n"
        "with f.ThreadPoolExecutor(16) as threads:\n"
        "    print(len(set(threads.map(lambda _: pool.pool().FindMessageTypeByName(name), range(64)))))"
    )
    assert in_a_new_process(code) == "1"


def test_without_the_generated_files_it_says_what_to_do() -> None:
    code = (
        "import pathlib; from meshwright.envoyapi import pool\n"
        "pool.DESCRIPTORS = pathlib.Path('/nonexistent/descriptors.binpb')\n"
        "try: pool.known_types()\n"
        "except pool.NotGeneratedError as error: print(error)"
    )
    assert in_a_new_process(code).endswith("run make setup")


def test_stubs_stand_beside_the_modules_and_name_only_this_package() -> None:
    for proto in pool.file_names():
        stub = (TARGET / module_path(proto)).with_suffix(".pyi")
        for line in imports_of_protos(stub.read_text()):
            assert line.startswith(f"from {PACKAGE}"), f"{proto}: {line}"


def imports_of_protos(stub: str) -> Iterator[str]:
    return (line for line in stub.splitlines() if line.startswith(("from ", "import ")) and "_pb2" in line)


def test_a_misspelt_field_is_a_type_error_and_a_right_one_is_not() -> None:
    head = "from meshwright.envoyapi.envoy.config.cluster.v3.cluster_pb2 import Cluster\n"
    lines = (
        "c = Cluster(name='a')",
        "c.lb_policy = Cluster.RANDOM",
        "Cluster(nme='a')",
        "c.lb_polcy = 1",
        "Cluster.RADOM",
    )
    folder = TARGET.parent.parent.parent / "tests" / "envoyapi"
    probe = folder / "_stub_probe.py"
    try:
        probe.write_text(head + "\n".join(lines) + "\n")
        command = [str(TARGET.parent.parent.parent / ".venv/bin/pyright"), "--outputjson", str(probe)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=55)
    finally:
        probe.unlink()
    wrong = {report["range"]["start"]["line"] for report in json.loads(done.stdout)["generalDiagnostics"]}
    assert wrong == {3, 4, 5}


def test_a_message_is_a_message() -> None:
    assert isinstance(Cluster(), Message)
