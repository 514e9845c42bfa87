"""Exit codes behind pipes, completion for both names, what waiting says, doctor beside a mesh of one's own."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from meshwright.cli.addresses import enforces
from meshwright.cli.pods import ContainerLine, PodLine
from meshwright.cli.starting import Patience
from meshwright.processes.preflight import RANGE, free_range
from tests.cli.runner import MESHWRIGHT, run

PORT_HOLDER = """
import socket, time
taken = socket.create_server(("127.0.0.1", 0))
print(taken.getsockname()[1], flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("words", [("--help",), ("up", "--help"), ("version",)])
def test_a_reader_that_goes_away_is_no_trace_and_no_success(words: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [str(MESHWRIGHT), *words], stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False, text=True
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize(("words", "code"), [(("nonsense",), 2), (("status", "--strange"), 2), (("up", "--help"), 0)])
def test_exit_codes_of_the_command_line(words: tuple[str, ...], code: int) -> None:
    assert run(*words).returncode == code


def test_without_a_mesh_it_is_3_behind_a_pipe_too(tmp_path: Path) -> None:
    line = f"set -o pipefail; {MESHWRIGHT} status --data {tmp_path / 'none'} | head -1"
    assert subprocess.run(["/bin/bash", "-c", line], check=False, timeout=60, capture_output=True).returncode == 3


@pytest.mark.parametrize("variable", ["_MESHWRIGHT_COMPLETE", "_MW_COMPLETE"])
def test_completion_answers_under_both_names(variable: str) -> None:
    done = run(env={variable: "bash_complete", "COMP_WORDS": "x proxy-s", "COMP_CWORD": "1"})
    assert done.stdout.split() == ["plain,proxy-status"]
    types = run(env={variable: "bash_complete", "COMP_WORDS": "x proxy-config ", "COMP_CWORD": "2"})
    assert "plain,cluster" in types.stdout.split()


def test_waiting_says_what_for_once_per_reason(capsys: pytest.CaptureFixture[str]) -> None:
    container = ContainerLine("app", ready=False, restarts=0, reason="Running", message="the readiness probe fails")
    pod = PodLine("slow.demo", "Running", ready=False, proxy_ready=True, message="", containers=(container,))
    patience = Patience(5.0)
    patience.look([], 1.0)
    assert not capsys.readouterr().err
    patience.look([pod], 5.0)
    assert "waiting for slow.demo: app: Running (the readiness probe fails)" in capsys.readouterr().err
    patience.look([pod], 5.5)
    patience.look([pod], 12.0)
    assert not capsys.readouterr().err
    patience.look([pod, pod], 20.0)
    assert "(and 1 more of 2 pods)" in capsys.readouterr().err
    patience.look([], 30.0)
    assert "waiting for the agent" in capsys.readouterr().err


def test_the_range_that_is_proposed_is_nobodys(tmp_path: Path) -> None:
    assert free_range(tmp_path) == 100_000
    (tmp_path / "subuid").write_text("ann:100000:65536\n# a comment\nbob:165536:65536\nbroken line\n")
    (tmp_path / "subgid").write_text(f"ann:300000:{RANGE}\n")
    assert free_range(tmp_path) == 300_000 + RANGE


def test_the_user_rung_says_whether_pods_are_apart() -> None:
    assert "one uid per pod" in enforces("user", single_uid=False)
    assert "not a security boundary" in enforces("user", single_uid=True)
    assert "not enforcing" in enforces("loopback", single_uid=True)


def test_doctor_knows_whose_ports_they_are(tmp_path: Path) -> None:
    package = tmp_path / "meshwright"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "ports.py").write_text(PORT_HOLDER)
    command = [str(MESHWRIGHT.parent / "python"), "-m", "meshwright.ports", "--data", str(tmp_path / "own")]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        words = ("doctor", "--http-port", port, "--https-port", "0", "--api-port", "0", "-o", "json")
        own = run(*words, "--data", str(tmp_path / "own"))
        other = run(*words, "--data", str(tmp_path / "other"))
        process.terminate()
    assert (own.returncode, json.loads(own.stdout)["own_ports"]) == (0, [int(port)])
    assert other.returncode == 1
    assert json.loads(other.stdout)["busy_ports"][0]["data_dir"] == str(tmp_path / "own")
