"""One proxy in full, as values for JSON: what it should run, what it says it runs, what it refused."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from meshwright.agent.ports import AgentPorts, ProxyAim
from meshwright.model.names import SECRET, ProxyName
from meshwright.xds.server import ProxyStatus


def proxy_facts(ports: AgentPorts, name: ProxyName, *, content: bool) -> dict[str, Any]:
    """`published`, `acknowledged` and `refused` by type and name with versions; with `content` also the bytes of what
    is published (base64), which never are secrets.
    """
    progress, aim = ports.proxies.status_of(name), ports.aim(name)
    return {
        "name": name,
        "role": aim.role,
        "node_id": progress.node_id,
        "connected": progress.connected,
        "connected_since": aim.connected_since,
        "synced": progress.synced,
        "synced_since": aim.synced_since,
        "published": _published(aim),
        "acknowledged": {url: dict(names) for url, names in progress.acknowledged.items()},
        "refused": _refused(progress),
        "complaints": [_complaint(each.type_url, each.resource_name, each.message) for each in progress.complaints],
        "content": _content(aim) if content else {},
    }


def _published(aim: ProxyAim) -> dict[str, Mapping[str, str]]:
    found: dict[str, Mapping[str, str]] = {
        url: {name: item.version for name, item in named.items()} for url, named in aim.resources.items()
    }
    found[SECRET] = {str(name): version for name, version in aim.secrets.items()}
    return found


def _refused(progress: ProxyStatus) -> dict[str, dict[str, str]]:
    refused: dict[str, dict[str, str]] = {}
    for (url, resource), version in progress.refused.items():
        refused.setdefault(url, {})[resource] = version
    return refused


def _complaint(url: str, resource: str | None, words: str) -> dict[str, str | None]:
    return {"type": url, "resource": resource, "message": words}


def _content(aim: ProxyAim) -> dict[str, dict[str, str]]:
    return {
        url: {name: b64encode(item.value).decode() for name, item in named.items()}
        for url, named in aim.resources.items()
        if url != SECRET
    }
