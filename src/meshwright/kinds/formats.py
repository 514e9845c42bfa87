"""The shapes that texts must have: names, hosts, labels, addresses."""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass

_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?\Z")
_NAME_PART = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?\Z")
_SERVICE_NAME = re.compile(r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?\Z")
_HOST_LABEL = re.compile(r"[A-Za-z0-9_](?:[-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?\Z")
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?\Z")
_LABEL_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?\Z")
_PORT_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?\Z")
_CONTAINER_PORT_NAME = re.compile(r"(?=[-0-9]*[a-z])[a-z0-9](?:[-a-z0-9]{0,13}[a-z0-9])?\Z")
_HEADER_NAME = re.compile(r":?[-!#$%&'*+.^_`|~0-9A-Za-z]+\Z")
_ENV_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*\Z")
_SUBSET_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?\Z")
_LONGEST_HOST = 253


@dataclass(frozen=True, slots=True)
class Format:
    """`name` with its article, as the sentence wants it; `example` is a correct text."""

    name: str
    example: str
    matches: Callable[[str], bool]


def is_ip(text: str) -> bool:
    """An IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_cidr(text: str) -> bool:
    """An address range such as 10.0.0.0/8."""
    if "/" not in text:
        return False
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def is_name(text: str) -> bool:
    """Lower case letters, digits and dashes, in parts joined by dots; only the whole has a greatest length."""
    return len(text) <= _LONGEST_HOST and all(_NAME_PART.match(part) for part in text.split("."))


def is_host(text: str) -> bool:
    """A DNS name without wildcard; a closing dot is fine."""
    parts = text.removesuffix(".").split(".")
    return len(text) <= _LONGEST_HOST and all(_HOST_LABEL.match(part) for part in parts)


def is_wildcard_host(text: str) -> bool:
    """`*`, `*.example.com`, `*-east.example.com`, or a DNS name."""
    if text == "*":
        return True
    if text.startswith("*."):
        return is_host(text[2:])
    if text.startswith("*"):
        return is_host("x" + text[1:])
    return is_host(text)


def is_base64(text: str) -> bool:
    """Standard base64; line breaks are fine."""
    try:
        base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def is_label_key(text: str) -> bool:
    """`name` or `prefix/name`."""
    prefix, slash, name = text.rpartition("/")
    return bool(_LABEL_NAME.match(name)) and (not slash or is_name(prefix))


def _is_export_target(text: str) -> bool:
    return text in (".", "*", "~") or bool(_LABEL.match(text))


def _is_gateway_reference(text: str) -> bool:
    namespace, slash, name = text.rpartition("/")
    return is_name(name) and (not slash or namespace == "." or bool(_LABEL.match(namespace)))


def _is_server_host(text: str) -> bool:
    namespace, slash, host = text.rpartition("/")
    return (is_wildcard_host(host) or is_ip(host)) and (
        not slash or namespace in ("*", ".", "~") or bool(_LABEL.match(namespace))
    )


_LONGEST_SOCKET_PATH = 107  # bytes; the kernel's limit


def _is_endpoint_address(text: str) -> bool:
    if text.startswith("unix://"):
        path = text.removeprefix("unix://")
        fits = len(path.encode()) <= _LONGEST_SOCKET_PATH
        return fits and path.startswith(("/", "@")) and not path.endswith("/")
    return is_ip(text) or is_host(text)


NAME = Format("a name of lower case letters, digits, `-` and `.`", "reviews-v1", is_name)
LABEL = Format("a name of lower case letters, digits and `-`", "reviews", lambda text: bool(_LABEL.match(text)))
SERVICE_NAME = Format(
    "a name that starts with a letter and has only lower case letters, digits and `-`",
    "reviews",
    lambda text: bool(_SERVICE_NAME.match(text)),
)
HOST = Format("a host name", "reviews.default.svc.cluster.local", lambda text: is_host(text) or is_ip(text))
WILDCARD_HOST = Format(
    "a host name, `*` or `*.` and a domain", "*.example.com", lambda text: is_wildcard_host(text) or is_ip(text)
)
SERVER_HOST = Format("a host with perhaps a namespace before `/`", "default/*.example.com", _is_server_host)
GATEWAY = Format("`mesh`, a gateway's name or namespace/name", "istio-system/public", _is_gateway_reference)
EXPORT_TARGET = Format("`.`, `*`, `~` or a namespace", ".", _is_export_target)
LABEL_VALUE = Format(
    "a label value (at most 63 letters, digits, `-`, `_`, `.`)", "v1", lambda text: bool(_LABEL_VALUE.match(text))
)
LABEL_KEY = Format("a label key", "app.kubernetes.io/name", is_label_key)
PORT_NAME = Format(
    "a port name of lower case letters, digits and `-`", "http-web", lambda text: bool(_PORT_NAME.match(text))
)
CONTAINER_PORT_NAME = Format(
    "a port name of at most 15 lower case letters, digits and `-`, one of them a letter",
    "http-web",
    lambda text: bool(_CONTAINER_PORT_NAME.match(text)),
)
HEADER_NAME = Format("a header name", "end-user", lambda text: bool(_HEADER_NAME.match(text)))
ENV_NAME = Format(
    "a variable name of letters, digits and `_`", "RATINGS_HOSTNAME", lambda text: bool(_ENV_NAME.match(text))
)
SUBSET_NAME = Format("a subset name of letters, digits, `-`, `_`, `.`", "v1", lambda t: bool(_SUBSET_NAME.match(t)))
DESTINATION_HOST = Format(
    "a service's host name",
    "reviews",
    lambda text: text != "*" and (is_wildcard_host(text) or is_ip(text)),
)
IP = Format("an IP address", "10.0.0.1", is_ip)
CLUSTER_IP = Format("an IP address or None", "10.0.0.1", lambda text: text in ("None", "") or is_ip(text))
CIDR = Format("an address range", "10.0.0.0/8", lambda text: is_ip(text) or is_cidr(text))
ENDPOINT_ADDRESS = Format(
    "an IP address, a host name or unix:// and a path of at most 107 bytes", "10.0.0.1", _is_endpoint_address
)
BASE64 = Format("base64", "aGVsbG8=", is_base64)
