"""What an agent must have beside pods and resources, as named bytes that its disk keeps too.

`bootstrap/<pod>.<ns>` is the Envoy's bootstrap (JSON), `image/<image>` a catalogue entry, `configmap/<ns>/<name>`
and `secret/<ns>/<name>` what containers of the node's pods refer to, `credential/<ns>/<name>` the Secrets that its
gateways may serve with, and `settings` what a machine needs of the mesh's settings. A node gets no other Secret.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from meshwright.agent.paths import PodPaths
from meshwright.asynctools.latest import Latest
from meshwright.compiler.compile import Sockets, live_bootstrap
from meshwright.model.config import ConfigMap, SecretContent
from meshwright.model.image import Catalogue, ImageEntry
from meshwright.model.meta import Meta
from meshwright.model.objects import MeshObjects
from meshwright.model.planned_pod import PlannedPod
from meshwright.model.pod import VolumeType
from meshwright.model.proxy import Proxy, Role
from meshwright.model.settings import MeshSettings
from meshwright.node.state import Documents
from meshwright.wiring.kept import Kept
from meshwright.wiring.loading import LoadedMesh
from meshwright.wiring.machine import Machine

BOOTSTRAP, IMAGE, CONFIG_MAP, SECRET, CREDENTIAL = "bootstrap/", "image/", "configmap/", "secret/", "credential/"
SETTINGS = "settings"


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """What a machine needs to know of the mesh as a whole."""

    cluster_domain: str


class DocumentWriter:
    """The control plane's side: `of` puts together what one machine needs. What did not change is not made again."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._bootstraps: Kept[Proxy, MeshSettings, bytes] = Kept(self._bootstrap)
        self._images: Kept[Catalogue, str, bytes | None] = Kept(_image)
        self._config_maps: Kept[ConfigMap, None, bytes] = Kept(_config_map)
        self._secrets: Kept[SecretContent, None, bytes] = Kept(_secret)

    def of(self, loaded: LoadedMesh, proxies: Iterable[Proxy], pods: tuple[PlannedPod, ...]) -> Documents:
        """Everything for these pods and their proxies."""
        documents: dict[str, bytes] = {SETTINGS: _encoded(NodeSettings(loaded.settings.cluster_domain))}
        for proxy in proxies:
            documents[f"{BOOTSTRAP}{proxy.name}"] = self._bootstraps(proxy, loaded.settings)
        for image in sorted({container.image for pod in pods for container in pod.template.all_containers}):
            entry = self._images(loaded.catalogue, image)
            if entry is not None:
                documents[f"{IMAGE}{image}"] = entry
        documents.update(self._referred(loaded.objects, pods))
        for kept in (self._bootstraps, self._images, self._config_maps, self._secrets):
            kept.turn()
        return documents

    def _referred(self, objects: MeshObjects, pods: tuple[PlannedPod, ...]) -> Documents:
        config_maps, secrets = references(pods)
        gateways = {pod.meta.namespace for pod in pods if pod.role is Role.ROUTER}
        documents: dict[str, bytes] = {}
        for each in objects.config_maps:
            if _place(each.meta) in config_maps:
                documents[f"{CONFIG_MAP}{_place(each.meta)}"] = self._config_maps(each, None)
        for content in objects.secret_contents:
            if _place(content.meta) in secrets:
                documents[f"{SECRET}{_place(content.meta)}"] = self._secrets(content, None)
            if content.meta.namespace in gateways:
                documents[f"{CREDENTIAL}{_place(content.meta)}"] = self._secrets(content, None)
        return documents

    def _bootstrap(self, proxy: Proxy, settings: MeshSettings) -> bytes:
        inside = PodPaths.of(self._machine.data_dir, self._machine.rung, proxy.name).inside
        sockets = Sockets(xds=str(inside.xds_socket), admin=str(inside.admin_socket))
        return json.dumps(live_bootstrap(proxy, settings, sockets)).encode()


class DocumentReader:
    """The agent's side: what a pod needs, out of the newest documents."""

    def __init__(self, documents: Latest[Documents]) -> None:
        self._documents = documents

    @property
    def settings(self) -> NodeSettings:
        """Raises KeyError before there is a state."""
        return msgspec.msgpack.decode(self._documents.value[SETTINGS], type=NodeSettings)

    def bootstrap(self, pod: PlannedPod, paths: PodPaths) -> Mapping[str, object]:
        """An Envoy's bootstrap, with the sockets that both sides know. Raises KeyError for a pod without a proxy."""
        del paths
        return msgspec.json.decode(self._documents.value[f"{BOOTSTRAP}{pod.name}"], type=dict[str, object])

    def image(self, image: str) -> ImageEntry | None:
        """The catalogue's entry for an image of the node's pods."""
        data = self._documents.value.get(f"{IMAGE}{image}")
        return None if data is None else msgspec.msgpack.decode(data, type=ImageEntry)

    def config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        """A ConfigMap that a container of the node refers to."""
        data = self._documents.value.get(f"{CONFIG_MAP}{namespace}/{name}")
        return None if data is None else msgspec.msgpack.decode(data, type=dict[str, str])

    def secret(self, namespace: str, name: str) -> Mapping[str, bytes] | None:
        """A Secret that a container of the node refers to."""
        data = self._documents.value.get(f"{SECRET}{namespace}/{name}")
        return None if data is None else dict(_content(data).data)

    def credentials(self) -> tuple[SecretContent, ...]:
        """The Secrets of the namespaces in which this node has gateways."""
        return tuple(
            _content(data) for name, data in sorted(self._documents.value.items()) if name.startswith(CREDENTIAL)
        )


def references(pods: Iterable[PlannedPod]) -> tuple[frozenset[str], frozenset[str]]:
    """ConfigMaps and Secrets, as <namespace>/<name>, that containers of these pods refer to."""
    variables = [(pod, each) for pod in pods for container in pod.template.all_containers for each in container.env]
    config_maps = {f"{pod.meta.namespace}/{each.config_map}" for pod, each in variables if each.config_map}
    secrets = {f"{pod.meta.namespace}/{each.secret}" for pod, each in variables if each.secret}
    volumes = [(pod.meta.namespace, each) for pod in pods for each in pod.template.volumes]
    config_maps |= {f"{space}/{each.source}" for space, each in volumes if each.type is VolumeType.CONFIG_MAP}
    secrets |= {f"{space}/{each.source}" for space, each in volumes if each.type is VolumeType.SECRET}
    return frozenset(config_maps), frozenset(secrets)


def _place(meta: Meta) -> str:
    return f"{meta.namespace}/{meta.name}"


def _image(catalogue: Catalogue, image: str) -> bytes | None:
    entry = catalogue.find(image)
    return None if entry is None else _encoded(entry)


def _config_map(config_map: ConfigMap, extra: None) -> bytes:
    del extra
    return _encoded(dict(config_map.data))


def _secret(content: SecretContent, extra: None) -> bytes:
    del extra
    return _encoded(content)


def _encoded(value: object) -> bytes:
    return msgspec.msgpack.encode(value)


def _content(data: bytes) -> SecretContent:
    return msgspec.msgpack.decode(data, type=SecretContent)
