"""Volumes of a pod as folders of its own, and how its containers see them.

Files of ConfigMaps and Secrets are readable by whoever sees the volume, whatever their mode says about the owner: in
a pod that is its containers alone, and these run as the pod's uid, not as root.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from meshwright.agent.machine import Machine
from meshwright.agent.program import CONFIG_ERROR, Waiting
from meshwright.agent.settings import Rung
from meshwright.model.planned_pod import PlannedPod
from meshwright.model.pod import Container, Volume, VolumeMount, VolumeType
from meshwright.processes.messages import MountSpec

_FOLDER, _OPEN_FOLDER = 0o755, 0o777
_EXECUTABLE = 0o111
RESERVED = ("/", "/proc", "/sys", "/dev", "/run")


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    mode: int


def mounts_of(machine: Machine, pod: PlannedPod, container: Container) -> tuple[MountSpec, ...] | Waiting:
    """Make the volumes of a container, and say where it sees them; or why it cannot start yet."""
    if machine.settings.rung is Rung.LOOPBACK:
        return ()
    volumes = {volume.name: volume for volume in pod.template.volumes}
    found: list[MountSpec] = []
    for mount in container.mounts:
        volume = volumes.get(mount.volume)
        if volume is None:
            return Waiting(CONFIG_ERROR, f"the pod has no volume {mount.volume}")
        if volume.type is VolumeType.OTHER:
            continue
        made = _mount(machine, pod, volume, mount)
        if isinstance(made, Waiting):
            return made
        found.append(made)
    return tuple(found)


def refresh(machine: Machine, pod: PlannedPod) -> None:
    """Bring the files of ConfigMaps and Secrets up to date. What is missing now stays as it was."""
    if machine.settings.rung is Rung.LOOPBACK:
        return
    for volume in pod.template.volumes:
        folder = machine.data.volumes(pod.name) / volume.name
        if volume.type in (VolumeType.EMPTY_DIR, VolumeType.OTHER):
            continue
        if folder.is_dir() and not isinstance(files := _files(machine, pod, volume), Waiting):
            _write(folder, files)


def _mount(machine: Machine, pod: PlannedPod, volume: Volume, mount: VolumeMount) -> MountSpec | Waiting:
    if mount.path in RESERVED or ".." in PurePosixPath(mount.path).parts:
        return Waiting(CONFIG_ERROR, f"nothing can be mounted at {mount.path}")
    files = _files(machine, pod, volume)
    if isinstance(files, Waiting):
        return files
    folder = machine.data.volumes(pod.name) / volume.name
    _make(folder, _OPEN_FOLDER if volume.type is VolumeType.EMPTY_DIR else _FOLDER)
    if volume.type is not VolumeType.EMPTY_DIR:
        _write(folder, files)
    read_only = mount.read_only or volume.type is not VolumeType.EMPTY_DIR
    if not mount.sub_path:
        return MountSpec(str(folder), mount.path, read_only)
    if volume.type is VolumeType.EMPTY_DIR:  # a link that the container put there could lead anywhere
        return Waiting(
            CONFIG_ERROR, f"subPath of the emptyDir {volume.name} is not supported: use a volume of its own"
        )
    inside = folder / mount.sub_path
    if not _is_below(mount.sub_path) or not inside.exists():
        return Waiting(CONFIG_ERROR, f"volume {volume.name} has no {mount.sub_path}")
    return MountSpec(str(inside), mount.path, read_only)


def _make(folder: Path, mode: int) -> None:
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not folder.is_dir():
        folder.mkdir()
        folder.chmod(mode)


def _files(machine: Machine, pod: PlannedPod, volume: Volume) -> dict[str, _File] | Waiting:
    """By path; none for an emptyDir."""
    if volume.type in (VolumeType.EMPTY_DIR, VolumeType.OTHER):
        return {}
    data = _data(machine, pod, volume)
    if data is None:
        if volume.optional:
            return {}
        kind = "configmap" if volume.type is VolumeType.CONFIG_MAP else "secret"
        return Waiting(CONFIG_ERROR, f"{kind} {pod.meta.namespace}/{volume.source} not found")
    found: dict[str, _File] = {}
    for key, path, mode in _wanted(volume, data):
        if key not in data:
            if volume.optional:
                continue
            return Waiting(CONFIG_ERROR, f"volume {volume.name}: {volume.source} has no key {key}")
        if not _is_below(path):
            return Waiting(CONFIG_ERROR, f"volume {volume.name}: {path} leads out of the volume")
        found[path] = _File(data[key], _readable(mode))
    return found


def _data(machine: Machine, pod: PlannedPod, volume: Volume) -> Mapping[str, bytes] | None:
    if volume.type is VolumeType.SECRET:
        return machine.ports.secret(pod.meta.namespace, volume.source)
    texts = machine.ports.config_map(pod.meta.namespace, volume.source)
    return None if texts is None else {key: text.encode() for key, text in texts.items()}


def _wanted(volume: Volume, data: Mapping[str, bytes]) -> Iterator[tuple[str, str, int]]:
    if not volume.items:
        yield from ((key, key, volume.mode) for key in data)
    for item in volume.items:
        yield item.key, item.path, volume.mode if item.mode is None else item.mode


def _readable(mode: int) -> int:
    return 0o444 | (_EXECUTABLE if mode & 0o100 else 0)


def _is_below(path: str) -> bool:
    parts = PurePosixPath(path)
    return not parts.is_absolute() and ".." not in parts.parts and path not in ("", ".")


def _write(folder: Path, files: Mapping[str, _File]) -> None:
    """Each file is replaced in one step, and only when it is another one; what is left over goes."""
    there = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    for name, file in files.items():
        path = folder / name
        old = there.pop(name, None)
        if old is not None and old.stat().st_mode & 0o777 == file.mode and old.read_bytes() == file.content:
            continue
        for parent in reversed(path.relative_to(folder).parents[:-1]):
            _make(folder / parent, _FOLDER)
        new = path.with_name(f".{path.name}.new")
        new.write_bytes(file.content)
        new.chmod(file.mode)
        new.replace(path)
    for path in there.values():
        path.unlink()
