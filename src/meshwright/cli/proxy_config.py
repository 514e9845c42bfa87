"""`meshwright proxy-config TYPE POD`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from meshwright.cli import envoy_dump, envoy_tables
from meshwright.cli.envoy import Envoy
from meshwright.cli.envoy_dump import Shown
from meshwright.cli.failure import UsageFailure
from meshwright.cli.mesh_option import data_option, running_mesh
from meshwright.cli.origins import Origins, origins_of
from meshwright.cli.pods import find_pod
from meshwright.cli.tables import form, table
from meshwright.model.names import CLUSTER, LISTENER, ROUTES

Json = dict[str, Any]
TYPES = ("cluster", "listener", "route", "endpoint", "secret", "bootstrap", "log", "all")
ALIASES = {
    "clusters": "cluster",
    "c": "cluster",
    "listeners": "listener",
    "l": "listener",
    "routes": "route",
    "r": "route",
    "endpoints": "endpoint",
    "ep": "endpoint",
    "secrets": "secret",
    "s": "secret",
    "b": "bootstrap",
    "logs": "log",
    "a": "all",
}
FILTERS = {
    "cluster": ("fqdn", "port", "direction", "subset"),
    "listener": ("address", "port", "kind"),
    "route": ("name",),
    "endpoint": ("address", "port", "cluster", "status"),
    "all": ("fqdn", "port", "direction", "subset", "address", "kind", "name", "cluster", "status"),
    "log": ("level", "reset"),
}
LEVELS = ("trace", "debug", "info", "warning", "error", "critical", "off")
DEFAULT_LEVEL = "warning"  # what the agent starts Envoys with


@dataclass(frozen=True, slots=True)
class Wanted:
    """The filters that were given; "" or 0 takes everything."""

    fqdn: str = ""
    port: int = 0
    direction: str = ""
    subset: str = ""
    name: str = ""
    address: str = ""
    kind: str = ""
    status: str = ""
    cluster: str = ""
    level: str = ""
    reset: bool = False

    def insist(self, kind: str) -> None:
        """Raises UsageFailure for a filter that means nothing for this type."""
        given = {each.name for each in fields(self) if getattr(self, each.name)}
        strange = sorted(given - set(FILTERS.get(kind, ())))
        if strange:
            option = "--type" if strange[0] == "kind" else f"--{strange[0]}"
            raise UsageFailure(f"{option} means nothing for {kind}")

    def port_is(self, text: str) -> bool:
        return not self.port or text == str(self.port)


class TypeName(click.Choice[str]):
    """A type, also by its plural or istioctl's short name."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return super().convert(ALIASES.get(str(value), value), param, ctx)


@click.command("proxy-config")
@data_option
@click.argument("kind", metavar="TYPE", type=TypeName(TYPES))
@click.argument("pod")
@click.option("-n", "--namespace", default="default", show_default=True)
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True)
@click.option("--fqdn", default="", help="Clusters whose service's name contains this.")
@click.option("--port", type=click.IntRange(1, 65535), default=None, help="Clusters, listeners, endpoints of it.")
@click.option("--direction", type=click.Choice(["inbound", "outbound"]), default=None, help="Clusters of it.")
@click.option("--subset", default="", help="Clusters of this subset.")
@click.option("--name", default="", help="The route configuration of this name.")
@click.option("--address", default="", help="Listeners or endpoints of this address.")
@click.option("--type", "listener_type", type=click.Choice(["HTTP", "TCP", "HTTP+TCP"]), help="Listeners of it.")
@click.option("--status", default="", help="Endpoints with this status: healthy, unhealthy ...")
@click.option("--cluster", default="", help="Endpoints of this cluster.")
@click.option("--level", default="", help="log: set levels, debug (of all) or http:debug,rbac:trace.")
@click.option("-r", "--reset", is_flag=True, help="log: set every level back to warning.")
def command(  # noqa: PLR0913, PLR0917 - one parameter per option
    data: Path | None,
    kind: str,
    pod: str,
    namespace: str,
    output: str,
    fqdn: str,
    port: int | None,
    direction: str | None,
    subset: str,
    name: str,
    address: str,
    listener_type: str | None,
    status: str,
    cluster: str,
    level: str,
    *,
    reset: bool,
) -> None:
    """Print what the Envoy of POD really runs: cluster, listener, route, endpoint, secret, bootstrap, log or all.

    It comes from that Envoy's own admin interface. ORIGIN is the object and field that a resource comes from, with
    file and line as long as the object is as the command line wrote it. Keys are never shown.
    """
    wanted = Wanted(
        fqdn, port or 0, direction or "", subset, name, address, listener_type or "", status, cluster, level, reset
    )
    wanted.insist(kind)
    mesh = running_mesh(data)
    envoy = Envoy(mesh, find_pod(mesh, pod, namespace).name)
    if kind == "log":
        click.echo(_levels(envoy, wanted, output))
        return
    dump = envoy.dump()
    if kind == "bootstrap":
        click.echo(form(envoy_dump.bootstrap(dump), "json" if output == "table" else output))
        return
    parts = Parts(envoy, dump, origins_of(mesh, envoy.pod), wanted)
    kinds = tuple(PARTS) if kind == "all" else (kind,)
    if output == "table":
        click.echo("\n\n".join(table(*parts.table(each)) for each in kinds))
        if not parts.origins.known:
            click.echo("the control plane does not answer: origins are not known", err=True)
        return
    values = {f"{each}s": parts.values(each) for each in kinds}
    whole = {"bootstrap": envoy_dump.bootstrap(dump), **values} if kind == "all" else values[f"{kind}s"]
    click.echo(form(whole, output))


class Parts:
    """The filtered resources of one Envoy, as tables and as values."""

    def __init__(self, envoy: Envoy, dump: Sequence[Json], origins: Origins, wanted: Wanted) -> None:
        self.origins = origins
        self._envoy = envoy
        self._dump = dump
        self._wanted = wanted

    def table(self, kind: str) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """Head and rows."""
        head, rows, _ = PARTS[kind]
        return head, rows(self)

    def values(self, kind: str) -> list[Json]:
        """Envoy's own JSON of each resource; beside its fields stands `meshwright` with state and origins."""
        return PARTS[kind][2](self)

    def clusters(self) -> list[Shown]:
        wanted = self._wanted

        def fits(each: Shown) -> bool:
            direction, port, subset, host = envoy_tables.cluster_parts(each.name)
            return (
                wanted.fqdn in host
                and wanted.port_is(port)
                and wanted.direction in ("", direction)
                and wanted.subset in ("", subset)
            )

        found = [each for each in envoy_dump.clusters(self._dump) if fits(each)]
        return sorted(found, key=lambda each: envoy_tables.cluster_parts(each.name)[::-1])

    def listeners(self) -> list[Shown]:
        wanted = self._wanted

        def fits(each: Shown) -> bool:
            address, port = envoy_tables.listener_address(each.resource)
            kinds = ("", envoy_tables.listener_kind(each.resource))
            return wanted.address in ("", address) and wanted.port_is(port) and wanted.kind in kinds

        return [each for each in envoy_dump.listeners(self._dump) if fits(each)]

    def routes(self) -> list[Shown]:
        return [each for each in envoy_dump.routes(self._dump) if self._wanted.name in ("", each.name)]

    def endpoints(self) -> list[Json]:
        """Clusters as Envoy sees them now, each with the hosts that fit."""
        wanted = self._wanted

        def fits(host: Json) -> bool:
            address, port = envoy_tables.endpoint_address(host)
            status = envoy_tables.endpoint_status(host)
            return wanted.address in ("", address) and wanted.port_is(port) and wanted.status.upper() in ("", status)

        found: list[Json] = []
        for each in sorted(self._envoy.clusters(), key=lambda cluster: str(cluster.get("name", ""))):
            hosts = [host for host in each.get("host_statuses", []) if fits(host)]
            if hosts and wanted.cluster in ("", each.get("name", "")):
                found.append({**each, "host_statuses": hosts})
        return found

    def secrets(self) -> list[Shown]:
        return envoy_dump.secrets(self._dump)

    def marked(self, found: Sequence[Shown], type_url: str) -> list[Json]:
        """Resources with what we know of them beside."""
        return [
            {
                **each.resource,
                "meshwright": {"state": each.state, "origins": self.origins.of(type_url, each.name)},
            }
            for each in found
        ]


Table = Callable[[Parts], Sequence[Sequence[str]]]
PARTS: dict[str, tuple[Sequence[str], Table, Callable[[Parts], list[Json]]]] = {
    "cluster": (
        envoy_tables.CLUSTER_HEAD,
        lambda parts: list(envoy_tables.cluster_rows(parts.clusters(), parts.origins)),
        lambda parts: parts.marked(parts.clusters(), CLUSTER),
    ),
    "listener": (
        envoy_tables.LISTENER_HEAD,
        lambda parts: list(envoy_tables.listener_rows(parts.listeners(), parts.origins)),
        lambda parts: parts.marked(parts.listeners(), LISTENER),
    ),
    "route": (
        envoy_tables.ROUTE_HEAD,
        lambda parts: list(envoy_tables.route_rows(parts.routes(), parts.origins)),
        lambda parts: parts.marked(parts.routes(), ROUTES),
    ),
    "endpoint": (
        envoy_tables.ENDPOINT_HEAD,
        lambda parts: list(envoy_tables.endpoint_rows(parts.endpoints())),
        lambda parts: parts.endpoints(),
    ),
    "secret": (
        envoy_tables.SECRET_HEAD,
        lambda parts: list(envoy_tables.secret_rows(parts.secrets(), datetime.now(UTC))),
        lambda parts: [each.resource for each in parts.secrets()],
    ),
}


def _levels(envoy: Envoy, wanted: Wanted, output: str) -> str:
    """Set what is to be set; the levels afterwards."""
    if wanted.level and wanted.reset:
        raise UsageFailure("give either --level or --reset")
    level = DEFAULT_LEVEL if wanted.reset else wanted.level
    levels = envoy.logging(logging_query(level))
    if output != "table":
        return form(levels, output)
    return "\n".join([f"{envoy.pod}:", "active loggers:", *(f"  {name}: {each}" for name, each in levels.items())])


def logging_query(level: str) -> str:
    """What Envoy is asked, for `debug` or `http:debug,rbac:trace`. Raises UsageFailure."""
    if not level:
        return ""
    parts = [part.strip() for part in level.split(",")]
    for part in parts:
        if part.rpartition(":")[2] not in LEVELS:
            raise UsageFailure(
                f"{part!r} names no level; write LEVEL or LOGGER:LEVEL with one of {', '.join(LEVELS)}"
            )
    if len(parts) == 1 and ":" not in parts[0]:
        return f"level={parts[0]}"
    if any(":" not in part for part in parts):
        raise UsageFailure("give one level for all, or LOGGER:LEVEL with commas between")
    return f"paths={','.join(parts)}"
