"""Words of the command line: kinds with names, commands that are mistyped, and answers that cannot be written."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from meshwright.cli.control import findings, objects_named, split_name, split_names
from meshwright.cli.failure import UsageFailure
from meshwright.cli.history import MOST_NAMED, some
from tests.cli.runner import MESHWRIGHT, run


@pytest.mark.parametrize(
    ("words", "objects"),
    [
        ("", []),
        ("vs", [("vs", "")]),
        ("vs reviews", [("vs", "reviews")]),
        ("vs reviews ratings", [("vs", "reviews"), ("vs", "ratings")]),
        ("vs/reviews", [("vs", "reviews")]),
        ("vs/reviews dr/reviews", [("vs", "reviews"), ("dr", "reviews")]),
    ],
)
def test_objects_are_named(words: str, objects: list[tuple[str, str]]) -> None:
    assert objects_named(words.split()) == objects


@pytest.mark.parametrize("words", ["vs/a b", "vs a/b", "vs dr/b", "vs/ dr/b", "/a"])
def test_mixtures_are_refused(words: str) -> None:
    with pytest.raises(UsageFailure):
        objects_named(words.split())


def test_one_kind_and_one_object() -> None:
    assert split_names(["vs/a", "vs/b"]) == ("vs", ("a", "b"))
    assert split_name(["vs"]) == ("vs", "")
    with pytest.raises(UsageFailure, match="one kind at a time"):
        split_names(["vs/a", "dr/b"])
    with pytest.raises(UsageFailure, match="one object at a time: vs/a, or vs a"):
        split_name(["vs", "a", "b"])


def test_counts_in_words() -> None:
    assert findings(1, "refuse") == "1 finding refuses a document"
    assert findings(2, "refuse") == "2 findings refuse a document"
    assert some(["a", "b"]) == "a, b"
    assert some([str(n) for n in range(MOST_NAMED + 5)]).endswith(f"{MOST_NAMED - 1} and 5 more")


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("aply", "there is no command aply: did you mean apply?"),
        ("proxystatus", "did you mean proxy-status?"),
        ("xyzzy", "there is no command xyzzy\n"),
    ],
)
def test_a_mistyped_command_is_answered_with_the_one_that_was_meant(word: str, told: str) -> None:
    done = run(word)
    assert done.returncode == 2
    assert told in done.stderr


@pytest.mark.parametrize(("short", "name"), [("ps", "proxy-status"), ("pc", "proxy-config")])
def test_what_users_of_istioctl_type(short: str, name: str) -> None:
    assert run(short, "--help").stdout == run(name, "--help").stdout.replace(name, short)


def test_a_full_disk_is_told_without_a_trace() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [str(MESHWRIGHT), "version"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert done.returncode == 1
    assert done.stderr == "meshwright: the answer cannot be written: No space left on device\n"


def test_documents_are_not_fetched_and_the_way_is_told() -> None:
    done = run("analyze", "-f", "https://example.com/a.yaml")
    assert done.returncode == 2
    assert "curl -fsSL https://example.com/a.yaml | meshwright" in done.stderr


@pytest.mark.parametrize("command", ["status", "down", "get vs", "kubeconfig"])
def test_another_users_mesh_is_not_taken_for_none(command: str) -> None:
    if os.getuid() != 0 or not shutil.which("setpriv"):
        pytest.fail("this test must be root to be somebody else")
    data = Path("/tmp") / f"mw-closed-{os.getpid()}"  # pytest's own folders are closed to others
    (data / "mesh").mkdir(parents=True)
    try:
        (data / "mesh").chmod(0o700)
        words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]
        done = subprocess.run(
            [*words, str(MESHWRIGHT), *command.split(), "--data", str(data / "mesh")],
            capture_output=True, text=True, timeout=60, check=False, cwd="/",
            env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
        )  # fmt: skip
    finally:
        shutil.rmtree(data)
    assert done.returncode == 3, done.stderr
    assert f"the mesh in {data / 'mesh'} belongs to root: run the command as that user" in done.stderr
    assert "Traceback" not in done.stderr
