"""What travels over the holder's socket: requests as values, and their form as JSON objects.

A line is one JSON object. A request has `id`, `op` and the fields of that operation; its answer has the same `id`
and either `result` or `error` {code, message, said}. Events have `event` instead of `id`. Decoding checks every field
and raises BadRequest with the field's name; it never trusts the other side.
"""

import dataclasses
import ipaddress
import json
import re
from dataclasses import dataclass
from typing import Any, Literal, cast

from meshwright.processes.interception import EVERYTHING, Interception

LONGEST_LINE = 4 * 1024 * 1024
PROTOCOL_VERSION = 1

Role = Literal["app", "proxy"]

_POD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_DOMAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,252}")


class BadRequest(Exception):  # noqa: N818 - it names the answer
    """The request cannot be carried out as it is; `code` is for programs, the text for people, and `said` the same as
    {key, values} for those who have words of their own (None: only the text is there).
    """

    def __init__(self, message: str, code: str = "bad-request", said: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.said = said


@dataclass(frozen=True, slots=True)
class Fields:
    """A JSON object with getters that check."""

    values: dict[str, Any]

    @staticmethod
    def parse(line: bytes) -> "Fields":
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"not JSON: {error}") from None
        if not isinstance(value, dict):
            raise BadRequest("a request is a JSON object")
        return Fields(cast("dict[str, Any]", value))

    def _get(self, name: str, kind: type, default: Any) -> Any:
        value = self.values.get(name, default)
        if value is None:
            raise BadRequest(f"{name} is missing")
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise BadRequest(f"{name} must be of type {kind.__name__}")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        value = cast("str", self._get(name, str, default))
        if "\0" in value:
            raise BadRequest(f"{name} must not hold a zero byte")
        return value

    def integer(self, name: str, default: int | None = None) -> int:
        return cast("int", self._get(name, int, default))

    def flag(self, name: str, *, default: bool) -> bool:
        return cast("bool", self._get(name, bool, default))

    def items(self, name: str) -> list[Any]:
        return cast("list[Any]", self._get(name, list, []))

    def texts(self, name: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        values = cast("list[Any]", self._get(name, list, list(default)))
        if not all(isinstance(value, str) and "\0" not in value for value in values):
            raise BadRequest(f"{name} must be a list of texts")
        return tuple(cast("list[str]", values))

    def object(self, name: str) -> "Fields":
        return Fields(cast("dict[str, Any]", self._get(name, dict, {})))

    def mapping(self, name: str) -> dict[str, str]:
        values = self.object(name).values
        if not all(isinstance(value, str) and "\0" not in key + value for key, value in values.items()):
            raise BadRequest(f"{name} must map texts to texts")
        return dict(values)

    def matching(self, name: str, pattern: re.Pattern[str]) -> str:
        value = self.text(name)
        if pattern.fullmatch(value) is None:
            raise BadRequest(f"{name} {value[:80]!r} has a form that is not allowed")
        return value

    def pod(self) -> str:
        return self.matching("pod", _POD)

    def name(self, field: str = "name") -> str:
        return self.matching(field, _NAME)


def encode(value: dict[str, Any]) -> bytes:
    """One line."""
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def to_fields(value: Any) -> dict[str, Any]:
    """A dataclass of this module as the JSON object that its `decode` reads."""
    return dataclasses.asdict(value)


@dataclass(frozen=True, slots=True)
class PodSpec:
    """A pod: one network namespace with one address.

    `search` are DNS search domains, `nameserver` "" means the sandbox's own; `interception` None: no rules, the
    pod is outside the mesh. `hosts` are further lines of /etc/hosts. `routed`: all that it sends and gets passes
    the sandbox's routing, so that those behind a service's address see who calls; for pods without a proxy.
    """

    pod: str
    ip: str
    hostname: str = ""
    search: tuple[str, ...] = ()
    nameserver: str = ""
    interception: Interception | None = None
    hosts: tuple[str, ...] = ()
    routed: bool = False

    @staticmethod
    def decode(fields: Fields) -> "PodSpec":
        pod = fields.pod()
        search = fields.texts("search")
        hostname = fields.text("hostname", "") or pod
        for name in (hostname, *search):
            if _DOMAIN.fullmatch(name) is None:
                raise BadRequest(f"{name[:80]!r} is not a domain name")
        nameserver = fields.text("nameserver", "")
        if nameserver:
            _address("nameserver", nameserver)
        hosts = fields.texts("hosts")
        if any("\n" in line for line in hosts):
            raise BadRequest("a line of hosts must not hold a line break")
        rules = fields.values.get("interception")
        interception = None if rules is None else _decode_interception(fields.object("interception"))
        address, routed = _address("ip", fields.text("ip")), fields.flag("routed", default=False)
        return PodSpec(pod, address, hostname, search, nameserver, interception, hosts, routed)


def _address(name: str, text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        raise BadRequest(f"{name} {text[:80]!r} is not an IPv4 address") from None


def _ranges(fields: Fields, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
    """IPv4 ranges, overlaps joined because nft refuses them; IPv6 ones are left out: pods have no IPv6."""
    values = fields.texts(name, default)
    if "*" in values:
        return EVERYTHING
    networks: list[ipaddress.IPv4Network] = []
    for value in values:
        try:
            network = ipaddress.ip_network(value.strip(), strict=False)
        except ValueError:
            raise BadRequest(f"{name}: {value[:80]!r} is not a range of addresses") from None
        if isinstance(network, ipaddress.IPv4Network):
            networks.append(network)
    return tuple(str(network) for network in ipaddress.collapse_addresses(networks))


def _ports(fields: Fields, name: str) -> tuple[int, ...]:
    ports: set[int] = set()
    for value in fields.items(name):
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 65_536:
            raise BadRequest(f"{name}: {value!r} is not a port")
        ports.add(value)
    return tuple(sorted(ports))


def _decode_interception(fields: Fields) -> Interception:
    inbound: tuple[int | str, ...] = EVERYTHING
    if list(fields.values.get("include_inbound_ports", EVERYTHING)) != list(EVERYTHING):
        inbound = _ports(fields, "include_inbound_ports")
    return Interception(
        include_outbound_ranges=_ranges(fields, "include_outbound_ranges", EVERYTHING),
        exclude_outbound_ranges=_ranges(fields, "exclude_outbound_ranges", ()),
        include_outbound_ports=_ports(fields, "include_outbound_ports"),
        exclude_outbound_ports=_ports(fields, "exclude_outbound_ports"),
        include_inbound_ports=inbound,
        exclude_inbound_ports=_ports(fields, "exclude_inbound_ports"),
    )


@dataclass(frozen=True, slots=True)
class MountSpec:
    """A file or folder of the host shown to the process at `target`."""

    source: str
    target: str
    read_only: bool = True

    @staticmethod
    def decode(fields: Fields) -> "MountSpec":
        source, target = fields.text("source"), fields.text("target")
        if not (source.startswith("/") and target.startswith("/")):
            raise BadRequest("mounts need absolute paths")
        return MountSpec(source, target, fields.flag("read_only", default=True))


@dataclass(frozen=True, slots=True)
class SpawnSpec:
    """A program to start in a pod.

    `output` is the file that stdout and stderr are appended to. `expose` are paths that the process must reach
    whatever its uid (its program's folder, for example); `mounts` come on top. `join` (of `exec` only) is the name
    of a process of the pod whose view of the file system it shares instead: its /tmp too.
    """

    pod: str
    name: str
    argv: tuple[str, ...]
    role: Role = "app"
    output: str = ""
    env: dict[str, str] = dataclasses.field(default_factory=dict[str, str])
    cwd: str = "/"
    expose: tuple[str, ...] = ()
    mounts: tuple[MountSpec, ...] = ()
    terminal: bool = False
    join: str = ""

    @staticmethod
    def decode(fields: Fields, name: str | None = None) -> "SpawnSpec":
        argv = fields.texts("argv")
        if not argv:
            raise BadRequest("argv is empty")
        role = fields.text("role", "app")
        if role not in ("app", "proxy"):
            raise BadRequest("role is app or proxy")
        mounts = tuple(MountSpec.decode(Fields(cast("dict[str, Any]", item))) for item in _objects(fields, "mounts"))
        paths = (fields.text("cwd", "/"), *fields.texts("expose"))
        if not all(path.startswith("/") for path in paths):
            raise BadRequest("cwd and expose need absolute paths")
        return SpawnSpec(
            pod=fields.pod(),
            name=fields.name() if name is None else name,
            argv=argv,
            role=role,
            output=fields.text("output", ""),
            env=fields.mapping("env"),
            cwd=paths[0],
            expose=paths[1:],
            mounts=mounts,
            terminal=fields.flag("terminal", default=False),
            join=fields.name("join") if fields.text("join", "") else "",
        )


def _objects(fields: Fields, name: str) -> list[Any]:
    values = fields.items(name)
    if not all(isinstance(value, dict) for value in values):
        raise BadRequest(f"{name} must be a list of objects")
    return values
