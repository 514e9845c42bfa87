"""Containers: what runs, with which environment, how it is probed, and what is done at its start and end."""

from collections.abc import Iterator
from dataclasses import replace

from meshwright.kinds import formats
from meshwright.kinds.fields import Fields
from meshwright.kinds.handlers import EXEC, GRPC, HTTP_GET, TCP_SOCKET, has_handler, read_handler
from meshwright.kinds.lifecycle import LIFECYCLE, read_hook
from meshwright.kinds.metadata import PORT
from meshwright.kinds.schema import Enum, Flag, Integer, ListOf, Object, Text, Unsupported
from meshwright.kinds.volumes import VOLUME_MOUNTS, read_mount
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.names import Milliseconds, PortNumber
from meshwright.model.pod import Container, EnvironmentVariable, Probe
from meshwright.model.workload import ContainerPort

STAYS = "Always"  # the one restartPolicy that an init container may have
_HANDLERS = ("httpGet", "tcpSocket", "exec", "grpc")


_PROBES = ("readinessProbe", "livenessProbe", "startupProbe")
_PROBE = Object(
    fields={
        "httpGet": HTTP_GET,
        "tcpSocket": TCP_SOCKET,
        "exec": EXEC,
        "grpc": GRPC,
        "initialDelaySeconds": Integer(),
        "periodSeconds": Integer(),
        "timeoutSeconds": Integer(),
        "successThreshold": Integer(),
        "failureThreshold": Integer(),
        "terminationGracePeriodSeconds": Integer(),
    },
    one_of=(_HANDLERS,),
    rules=(has_handler(_HANDLERS, "httpGet", "with `port` and `path` (or tcpSocket, exec)"),),
)
_KEY = Object(
    fields={"name": Text(), "key": Text(empty=False), "optional": Flag()},
    required={"key": "the key whose value is taken"},
)
_ENV = Object(
    fields={
        "name": Text(formats.ENV_NAME, empty=False),
        "value": Text(),
        "valueFrom": Object(
            fields={
                "fieldRef": Object(
                    fields={"fieldPath": Text(empty=False), "apiVersion": Text()},
                    required={"fieldPath": "e.g. metadata.name"},
                ),
                "configMapKeyRef": _KEY,
                "secretKeyRef": _KEY,
                "resourceFieldRef": Unsupported("write the value"),
                "fileKeyRef": Unsupported("write the value"),
            },
            one_of=(("fieldRef", "configMapKeyRef", "secretKeyRef", "resourceFieldRef", "fileKeyRef"),),
        ),
    },
    required={"name": "the variable's name"},
    one_of=(("value", "valueFrom"),),
)
_OTHERS = frozenset({
    "imagePullPolicy", "resources", "resizePolicy", "restartPolicy", "restartPolicyRules",
    "volumeDevices", "securityContext", "stdin", "stdinOnce", "tty", "terminationMessagePath",
    "terminationMessagePolicy",
})  # fmt: skip

CONTAINER = Object(
    fields={
        "name": Text(formats.LABEL, empty=False),
        "image": Text(empty=False),
        "command": ListOf(Text()),
        "args": ListOf(Text()),
        "env": ListOf(_ENV),
        "envFrom": Unsupported("list the variables under `env`"),
        "workingDir": Text(),
        "ports": ListOf(
            Object(
                fields={
                    "containerPort": PORT,
                    "name": Text(formats.CONTAINER_PORT_NAME),
                    "protocol": Enum(("TCP", "UDP", "SCTP")),
                    "hostPort": Integer(0, 65535),
                    "hostIP": Text(),
                },
                required={"containerPort": "the number that the program listens on"},
            ),
            unique="name",
        ),
        **dict.fromkeys(_PROBES, _PROBE),
        "lifecycle": LIFECYCLE,
        "volumeMounts": VOLUME_MOUNTS,
    },
    required={"name": "e.g. app", "image": "the image's name"},
    others=_OTHERS,
)


def _for_one_that_stays(fields: Fields) -> Iterator[Diagnostic]:
    """One that is to end is ready when it has: there is nothing to ask and no one to stop, and Kubernetes refuses
    probes and hooks, too.
    """
    probed = [name for name in (*_PROBES, "lifecycle") if fields.has(name)]
    if probed and fields.text("restartPolicy") != STAYS:
        hint = f"{STAYS}, if it is to run beside the others; if it is to end, remove {probed[0]}"
        yield Diagnostic(codes.MISSING_FIELD, fields.origin.field(probed[0]), ("`restartPolicy`", hint))


INIT_CONTAINER = replace(
    CONTAINER,
    fields={**CONTAINER.fields, "restartPolicy": Enum((STAYS,))},
    others=_OTHERS - {"restartPolicy"},
    rules=(_for_one_that_stays,),
)


def read_init_container(fields: Fields) -> Container:
    return replace(read_container(fields), stays=fields.text("restartPolicy") == STAYS)


def read_container(fields: Fields) -> Container:
    return Container(
        name=fields.text("name"),
        image=fields.text("image"),
        origin=fields.origin,
        command=fields.texts("command"),
        args=fields.texts("args"),
        env=tuple(_read_variable(entry) for entry in fields.items("env")),
        working_dir=fields.text("workingDir"),
        ports=tuple(
            ContainerPort(PortNumber(port.number_or("containerPort", 0)), port.text("name"))
            for port in fields.items("ports")
            if port.text("protocol", "TCP") == "TCP"
        ),
        readiness=_read_probe(fields.child("readinessProbe")),
        liveness=_read_probe(fields.child("livenessProbe")),
        startup=_read_probe(fields.child("startupProbe")),
        post_start=read_hook(fields, "postStart"),
        pre_stop=read_hook(fields, "preStop"),
        mounts=tuple(read_mount(mount) for mount in fields.items("volumeMounts")),
    )


def _read_variable(fields: Fields) -> EnvironmentVariable:
    source = fields.child_or_empty("valueFrom")
    config, secret = source.child_or_empty("configMapKeyRef"), source.child_or_empty("secretKeyRef")
    return EnvironmentVariable(
        name=fields.text("name"),
        value=fields.text("value"),
        field_path=source.child_or_empty("fieldRef").text("fieldPath"),
        config_map=config.text("name"),
        secret=secret.text("name"),
        key=config.text("key") or secret.text("key"),
    )


def _read_probe(fields: Fields | None) -> Probe | None:
    if fields is None:
        return None
    return replace(
        read_handler(fields),
        initial_delay=_seconds(fields, "initialDelaySeconds", 0),
        period=_seconds(fields, "periodSeconds", 10),
        timeout=_seconds(fields, "timeoutSeconds", 1),
        success_threshold=fields.number_or("successThreshold", 1) or 1,
        failure_threshold=fields.number_or("failureThreshold", 3) or 3,
    )


def _seconds(fields: Fields, name: str, default: int) -> Milliseconds:
    """Kubernetes reads 0 as "not set"."""
    return Milliseconds((fields.number_or(name, default) or default) * 1000)
