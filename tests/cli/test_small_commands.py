"""version, doctor, completion, help, and what every command says when no mesh runs."""

import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from meshwright.cli.main import COMMANDS, cli
from meshwright.cli.pods import refusals
from meshwright.cli.status import proxy_state
from tests.cli.runner import run


def test_version_names_both() -> None:
    done = json.loads(run("version", "-o", "json").stdout)
    assert set(done) == {"meshwright", "envoy"}
    assert done["envoy"] == "1.40.0"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_covers_both_names(shell: str) -> None:
    done = run("completion", shell)
    assert done.returncode == 0
    assert "_MESHWRIGHT_COMPLETE" in done.stdout
    assert "_MW_COMPLETE" in done.stdout


def test_every_command_has_help() -> None:
    listed = run("--help").stdout
    for entry in COMMANDS:
        assert entry.name in listed
        said = CliRunner().invoke(cli, [entry.name, "--help"])
        assert (said.exit_code, said.output[:5]) == (0, "Usage")


@pytest.mark.parametrize("words", [("status",), ("logs", "x"), ("exec", "x", "--", "true")])
def test_without_a_mesh(words: tuple[str, ...], tmp_path: Path) -> None:
    done = run(*words, env={"MESHWRIGHT_DATA": str(tmp_path / "none")})
    assert done.returncode == 3
    assert "meshwright up" in done.stderr


def test_down_without_a_mesh_is_fine(tmp_path: Path) -> None:
    done = run("down", "--data", str(tmp_path / "none"))
    assert done.returncode == 0
    assert not (tmp_path / "none").exists()


def test_doctor_names_the_rung() -> None:
    answer = json.loads(
        run("doctor", "--http-port", "0", "--https-port", "0", "--api-port", "0", "-o", "json").stdout
    )
    assert answer["rung"] in {"root", "user", "loopback"}
    assert answer["reasons"]


def test_a_busy_port_is_named_with_its_owner(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("up", "--detach", "--data", str(tmp_path / "d"), "--http-port", str(port))
    assert done.returncode == 1
    assert f"port {port}" in done.stderr
    assert "pytest" in done.stderr or "python" in done.stderr


def test_one_port_twice_is_a_usage_error(tmp_path: Path) -> None:
    done = run("up", "--data", str(tmp_path / "d"), "--http-port", "9999", "--https-port", "9999")
    assert done.returncode == 2


def test_what_an_envoy_refuses_is_told() -> None:
    fine = {"name": "a.demo", "synced": True, "refused": [], "complaints": ["an old one"]}
    poor = {"name": "gw.demo", "synced": True, "refused": ["0.0.0.0_80"], "complaints": ["first", "no such port\n"]}
    assert refusals([fine, poor]) == ["gw.demo: Envoy refuses 0.0.0.0_80: no such port"]
    assert [proxy_state(each) for each in (fine, poor, {**fine, "synced": False})] == ["synced", "refuses", "waits"]
