"""Volumes as folders: what is written, what is refused, and that nothing leads out of them."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from meshwright.agent.holder_link import HolderLink
from meshwright.agent.machine import Machine
from meshwright.agent.paths import PodPaths
from meshwright.agent.ports import AgentPorts
from meshwright.agent.program import Waiting
from meshwright.agent.settings import AgentSettings, Rung
from meshwright.agent.volumes import mounts_of, refresh
from meshwright.asynctools.latest import Latest
from meshwright.model.names import Milliseconds
from meshwright.model.planned_pod import PlannedPod
from meshwright.model.pod import KeyPath, Volume, VolumeMount, VolumeType
from meshwright.model.proxy import Interception
from meshwright.model.published import Published
from meshwright.processes.messages import MountSpec
from meshwright.xds.server import XdsServer
from tests.agent.mesh import origin, pod, web

CONFIG_MAPS: dict[str, dict[str, str]] = {"settings": {"a.conf": "one", "b.conf": "two"}}
SECRETS: dict[str, dict[str, bytes]] = {"token": {"word": b"\x00\xff"}}


def no_bootstrap(planned: PlannedPod, paths: PodPaths) -> dict[str, object]:
    del planned, paths
    return {}


def no_image(image: str) -> None:
    del image


def machine(folder: Path, maps: Mapping[str, Mapping[str, str]] = CONFIG_MAPS, rung: Rung = Rung.ROOT) -> Machine:
    """A machine without anything that runs."""

    async def nothing(planned: PlannedPod) -> None:
        del planned

    ports = AgentPorts(
        proxies=XdsServer(Latest(Published({}, {}, {}))),
        prepare_identity=nothing,
        bootstrap=no_bootstrap,
        catalogue=no_image,
        config_map=lambda namespace, name: maps.get(name) if namespace == "demo" else None,
        secret=lambda namespace, name: SECRETS.get(name) if namespace == "demo" else None,
        drained=nothing,
    )
    settings = AgentSettings(data_dir=folder, rung=rung, interception=Interception.UID, envoy_path=Path("/none"))
    return Machine(settings, ports, HolderLink(folder / "none"), asyncio.Semaphore(1), lambda: Milliseconds(0))


def volume(name: str, kind: VolumeType, source: str = "", *items: KeyPath, **more: bool | int) -> Volume:
    return Volume(
        name, kind, origin("p"), source, items, int(more.get("mode", 0o644)), optional=bool(more.get("optional"))
    )


def planned(*volumes: Volume, mounts: tuple[VolumeMount, ...]) -> PlannedPod:
    made = pod("p", 5, web(mounts=mounts))
    return replace(made, template=replace(made.template, volumes=volumes))


def mounted(place: Machine, of: PlannedPod) -> tuple[MountSpec, ...] | Waiting:
    return mounts_of(place, of, of.template.containers[0])


def test_files_and_their_places(tmp_path: Path) -> None:
    items = (KeyPath("b.conf", "deep/er/b"), KeyPath("a.conf", "run", 0o700))
    of = planned(
        volume("conf", VolumeType.CONFIG_MAP, "settings", *items),
        volume("token", VolumeType.SECRET, "token", mode=0o400),
        volume("scratch", VolumeType.EMPTY_DIR),
        volume("host", VolumeType.OTHER, "hostPath"),
        mounts=(
            VolumeMount("conf", "/conf"),
            VolumeMount("token", "/word", "word"),
            VolumeMount("scratch", "/scratch"),
            VolumeMount("scratch", "/seen", read_only=True),
            VolumeMount("host", "/host"),
        ),
    )
    home = tmp_path / "volumes" / "p.demo"
    assert mounted(machine(tmp_path), of) == (
        MountSpec(str(home / "conf"), "/conf", read_only=True),
        MountSpec(str(home / "token" / "word"), "/word", read_only=True),
        MountSpec(str(home / "scratch"), "/scratch", read_only=False),
        MountSpec(str(home / "scratch"), "/seen", read_only=True),
    )
    assert (home / "conf" / "deep" / "er" / "b").read_text() == "two"
    assert (home / "conf" / "run").stat().st_mode & 0o777 == 0o555
    assert (home / "token" / "word").read_bytes() == b"\x00\xff"
    assert (home / "token" / "word").stat().st_mode & 0o777 == 0o444
    assert (home / "scratch").stat().st_mode & 0o777 == 0o777
    assert home.stat().st_mode & 0o077 == 0


def test_files_follow_and_what_containers_wrote_stays(tmp_path: Path) -> None:
    maps = {"settings": {"a": "one", "b": "two"}}
    place = machine(tmp_path, maps)
    of = planned(
        volume("conf", VolumeType.CONFIG_MAP, "settings"),
        volume("scratch", VolumeType.EMPTY_DIR),
        mounts=(VolumeMount("conf", "/conf"), VolumeMount("scratch", "/scratch")),
    )
    mounted(place, of)
    home = tmp_path / "volumes" / "p.demo"
    (home / "scratch" / "mine").write_text("kept")
    untouched = (home / "conf" / "a").stat().st_ino
    maps["settings"] = {"a": "one", "c": "three"}
    refresh(place, of)
    mounted(place, of)
    assert {path.name: path.read_text() for path in (home / "conf").iterdir()} == {"a": "one", "c": "three"}
    assert (home / "conf" / "a").stat().st_ino == untouched
    assert (home / "scratch" / "mine").read_text() == "kept"
    del maps["settings"]
    refresh(place, of)
    assert (home / "conf" / "c").exists()


CONF = volume("conf", VolumeType.CONFIG_MAP, "settings")
SCRATCH = volume("scratch", VolumeType.EMPTY_DIR)


@pytest.mark.parametrize(
    ("wrong", "mount", "words"),
    [
        (CONF, VolumeMount("other", "/x"), "no volume other"),
        (
            volume("conf", VolumeType.CONFIG_MAP, "nobody"),
            VolumeMount("conf", "/x"),
            "configmap demo/nobody not found",
        ),
        (volume("conf", VolumeType.SECRET, "nobody"), VolumeMount("conf", "/x"), "secret demo/nobody not found"),
        (
            volume("conf", VolumeType.CONFIG_MAP, "settings", KeyPath("zzz", "x")),
            VolumeMount("conf", "/x"),
            "settings has no key zzz",
        ),
        (
            volume("conf", VolumeType.CONFIG_MAP, "settings", KeyPath("a.conf", "../../x")),
            VolumeMount("conf", "/x"),
            "leads out of the volume",
        ),
        (
            volume("conf", VolumeType.CONFIG_MAP, "settings", KeyPath("a.conf", "/etc/x")),
            VolumeMount("conf", "/x"),
            "leads out of the volume",
        ),
        (CONF, VolumeMount("conf", "/x", "../p.other/secret"), "has no ../p.other/secret"),
        (CONF, VolumeMount("conf", "/x", "/etc/passwd"), "has no /etc/passwd"),
        (SCRATCH, VolumeMount("scratch", "/x", "link"), "subPath of the emptyDir"),
        (SCRATCH, VolumeMount("scratch", "/"), "nothing can be mounted at /"),
        (SCRATCH, VolumeMount("scratch", "/x/../proc"), "nothing can be mounted"),
        (SCRATCH, VolumeMount("scratch", "/proc"), "nothing can be mounted at /proc"),
    ],
)
def test_what_is_refused(tmp_path: Path, wrong: Volume, mount: VolumeMount, words: str) -> None:
    answer = mounted(machine(tmp_path), planned(wrong, mounts=(mount,)))
    assert isinstance(answer, Waiting)
    assert words in answer.message
    assert answer.reason == "CreateContainerConfigError"


def test_what_is_optional_may_be_missing(tmp_path: Path) -> None:
    missing = volume("conf", VolumeType.CONFIG_MAP, "nobody", optional=True)
    half = volume(
        "half", VolumeType.CONFIG_MAP, "settings", KeyPath("zzz", "z"), KeyPath("a.conf", "a"), optional=True
    )
    of = planned(missing, half, mounts=(VolumeMount("conf", "/x"), VolumeMount("half", "/y")))
    found = mounted(machine(tmp_path), of)
    assert isinstance(found, tuple)
    assert [each.target for each in found] == ["/x", "/y"]
    assert [path.name for path in (tmp_path / "volumes" / "p.demo" / "half").iterdir()] == ["a"]


def test_without_file_systems_there_are_no_mounts(tmp_path: Path) -> None:
    of = planned(CONF, mounts=(VolumeMount("conf", "/x"),))
    assert mounted(machine(tmp_path, rung=Rung.LOOPBACK), of) == ()
    assert not (tmp_path / "volumes").exists()
