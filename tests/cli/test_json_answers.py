"""`-o json`: what programs are told, also when there is nothing to tell but why."""

import importlib
import json
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from meshwright.cli.answer import asked_for_json
from meshwright.cli.main import COMMANDS, main
from tests.cli.runner import ROOT, run

RAW = {"exec": "what its command writes is passed on", "completion": "a script for a shell"}
"""Commands without JSON, and why."""
MESHLESS = ("up", "install", "down", "compile", "doctor", "bug-report", "version", *RAW)
BOOKINFO = "samples/bookinfo/platform/kube/bookinfo.yaml"
WORDS = {
    "logs": ("x",),
    "run": ("x", "--port", "80", "--", "true"),
    "explain": ("--from", "a.b", "--to", "http://c"),
    "apply": ("-f", str(ROOT / BOOKINFO)),
    "delete": ("vs/x",),
    "get": ("vs",),
    "wait": ("vs/x",),
    "describe": ("vs",),
    "diff": ("1",),
    "undo": ("1",),
    "rollback": ("1",),
    "proxy-config": ("cluster", "x"),
}


def forms_of(name: str) -> list[str]:
    """The values of a command's -o."""
    [entry] = [entry for entry in COMMANDS if entry.name == name]
    command: click.Command = importlib.import_module(entry.module).command
    types = [option.type for option in command.params if "-o" in option.opts and not getattr(option, "hidden", False)]
    return [str(choice) for kind in types if isinstance(kind, click.Choice) for choice in kind.choices]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


Failing = Callable[..., tuple[int, str, str]]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Failing:
    """Runs a command that fails, inside this process: its code, what it says to programs, and to people."""

    def run_here(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["meshwright", *words])
        with pytest.raises(SystemExit) as end:
            main()
        printed = capsys.readouterr()
        answer = json.loads(printed.out)
        assert answer == {"error": answer["error"], "exit_code": end.value.code}
        return answer["exit_code"], answer["error"], printed.err

    return run_here


@pytest.mark.parametrize("name", [entry.name for entry in COMMANDS])
def test_every_command_has_it_or_says_why_not(name: str) -> None:
    assert ("json" in forms_of(name)) == (name not in RAW)


@pytest.mark.parametrize("name", [entry.name for entry in COMMANDS if entry.name not in MESHLESS])
def test_without_a_mesh_a_program_is_told_so(name: str, failing: Failing, tmp_path: Path) -> None:
    own = WORDS.get(name, ())
    code, error, said = failing(name, "--data", str(tmp_path / "none"), "-o", "json", *own)
    assert (code, said) == (3, f"meshwright: {error}\n")
    assert "start one with: meshwright up" in error


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("status", "--strange", "-o", "json"), "No such option '--strange'."),
        (("status", "--dat", "x", "--output=json"), "No such option '--dat'. Did you mean '--data'?"),
        (("statsu", "-ojson"), "there is no command statsu: did you mean status?"),
        (("up", "--profile", "dmo", "-o", "json"), "'dmo' is not one of 'default', 'demo', 'minimal'"),
        (("apply", "-o", "json"), "name documents with -f PATH"),
        (("logs", "-o", "json"), "Missing argument 'POD'"),
        (("exec", "-o", "json", "x", "--", "ls"), "exec has no -o json: it passes on what the command writes"),
    ],
)
def test_what_is_not_understood_is_told_in_json_too(words: tuple[str, ...], said: str, failing: Failing) -> None:
    code, error, _ = failing(*words)
    assert code == 2
    assert said in error


def test_an_answer_is_given_once() -> None:
    refused = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 99999}]}\n"
    words = ("-f", BOOKINFO, "-f", "-", "--proxy", "reviews-v1.default", "--type", "listeners", "-o", "json")
    done = run("compile", *words, stdin=refused)
    assert (done.returncode, set(json.loads(done.stdout))) == (1, {"listeners", "diagnostics"})
    assert "findings left something out" in done.stderr


def test_a_word_behind_the_dashes_is_not_ours() -> None:
    done = run("exec", "--data", "/nowhere", "x", "--", "kubectl", "-o", "json")
    assert (done.returncode, done.stdout) == (3, "")
    assert asked_for_json(["get", "vs", "-Ao", "json"])
    assert not asked_for_json(["get", "vs", "-o", "yaml", "json"])


@pytest.mark.parametrize("words", [("x", "-c", "app", "--", "true"), ("x", "-t", "--", "true")])
def test_options_of_exec_go_before_the_pod(words: tuple[str, ...]) -> None:
    done = run("exec", *words)
    assert done.returncode == 2
    assert f"{words[1]}: options of exec go before x, and the command after --" in done.stderr


def test_down_tells_what_it_has_done(tmp_path: Path) -> None:
    data = tmp_path / "d"
    nothing: dict[str, Any] = {"data": str(data), "ran": False, "ended": [], "removed": []}
    assert json.loads(run("down", "--data", str(data), "-o", "json").stdout) == nothing
    data.mkdir()
    purged = run("down", "--data", str(data), "--purge", "-o", "json")
    assert json.loads(purged.stdout) == {**nothing, "removed": [str(data)]}
    assert not data.exists()


@pytest.mark.parametrize("words", [("down", "--purge"), ("up", "--detach"), ("install", "-y")])
def test_other_files_stay(words: tuple[str, ...], failing: Failing, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("of somebody")
    code, error, _ = failing(*words, "--data", str(tmp_path), "-o", "json")
    assert (code, precious.read_text()) == (2, "of somebody")
    assert "holds files that are no mesh's" in error
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_a_busy_port_is_told_with_one_that_is_free(failing: Failing, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = ("--detach", "--data", str(tmp_path / "d"), "--api-port", str(port), "-o", "json")
        code, error, _ = failing("up", *words)
        doctor = json.loads(run("doctor", "--api-port", str(port), "-o", "json").stdout)
    assert code == 1
    assert f"busy: port {port} on 127.0.0.1 is taken by process" in error
    assert "fix: take other ports: --port-base " in error
    assert port in [each["port"] for each in doctor["busy_ports"]]
    assert any(fix.startswith("take other ports") for fix in doctor["fixes"])
    assert not (tmp_path / "d").exists()


def test_a_place_that_cannot_be_is_told(failing: Failing, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, error, _ = failing("up", "--data", str(tmp_path / "file" / "d"), "--detach", "-o", "json")
    assert (code, error.partition(": ")[2]) == (2, "Not a directory")
    words = ("--api-port", str(free_port()), "--http-port", str(free_port()), "--https-port", str(free_port()))
    code, error, _ = failing("up", "--data", "/proc/meshwright-test", "--detach", "-o", "json", *words)
    assert (code, error.split(": ")[1]) == (1, "No such file or directory; name another one with --data")


def test_one_port_for_two_things_is_named_with_both(tmp_path: Path) -> None:
    done = run("up", "--data", str(tmp_path / "d"), "--port-base", "9080", "--console-port", "9082")
    assert (done.returncode, done.stderr) == (
        2, "meshwright: port 9082 is for two things, --api-port and --console-port: change one\n",
    )  # fmt: skip
