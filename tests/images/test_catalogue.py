"""The image catalogue: which entry an image has, and what runs then."""

import importlib.resources
import importlib.util
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from meshwright.kinds.image_catalogue import read_catalogue
from meshwright.model.image import (
    Catalogue,
    ImageEntry,
    command_line,
    entry_to_add,
    environment,
    literals,
    repository,
    resolve_program,
)


def shipped() -> Catalogue:
    text = importlib.resources.files("meshwright.images").joinpath("catalogue.yaml").read_text()
    catalogue, errors = read_catalogue(yaml.safe_load(text))
    assert errors == ()
    return catalogue


def entry(pattern: str, *command: str) -> ImageEntry:
    return ImageEntry(pattern, command or ("run",))


def everywhere(_: str) -> bool:
    return True


def nowhere(_: str) -> bool:
    return False


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("docker.io/istio/examples-bookinfo-productpage-v1:1.20.3", {}),
        ("istio/examples-bookinfo-reviews-v1", {"ENABLE_RATINGS": "false"}),
        ("docker.io/istio/examples-bookinfo-reviews-v2:1.16.2", {"ENABLE_RATINGS": "true"}),
        (
            "index.docker.io/istio/examples-bookinfo-reviews-v3@sha256:00",
            {"ENABLE_RATINGS": "true", "STAR_COLOR": "red"},
        ),
        ("mirror.example:5000/istio/examples-bookinfo-ratings-v1:1", {"SERVICE_VERSION": "v1"}),
        ("istio/examples-bookinfo-ratings-v-faulty", {"SERVICE_VERSION": "v-faulty"}),
        ("docker.io/istio/examples-helloworld-v2", {"SERVICE_VERSION": "v2"}),
        ("docker.io/mccutchen/go-httpbin:v2.15.0", {}),
        ("kennethreitz/httpbin", {}),
        ("curlimages/curl:8.4.0", {}),
        ("busybox", {}),
        ("docker.io/library/busybox:1.36", {}),
        ("alpine:latest", {}),
        ("fortio/fortio:latest_release", {}),
    ],
)
def test_images_of_the_samples_have_entries(image: str, expected: dict[str, str]) -> None:
    found = shipped().find(image)
    assert found is not None
    assert dict(environment(found, python="/py")) == expected


@pytest.mark.parametrize("image", ["nginx", "acme/busybox", "busybox.example/other", "istio/pilot", ""])
def test_other_images_have_none(image: str) -> None:
    assert shipped().find(image) is None


def test_every_command_of_ours_exists() -> None:
    for each in shipped().entries:
        programs = [each.command, *(words for _, words in (*each.programs, *each.fallbacks))]
        for words in programs:
            if words[0] == "{python}":
                assert words[1:3] == ("-I", "-m")
                assert importlib.util.find_spec(words[3]) is not None


def test_the_longest_literal_match_wins_and_the_later_of_equals() -> None:
    general, special, again = entry("acme/*"), entry("acme/shop-*", "a"), entry("acme/s?op-*", "b")
    assert Catalogue((special, general)).find("acme/shop-1") is special
    assert Catalogue((general, special)).find("acme/shop-1") is special
    assert Catalogue((special, again)).find("acme/shop-1") is special
    same = entry("acme/shop-*", "c")
    assert Catalogue((special,)).with_entries((same,)).find("acme/shop-1") is same


def test_a_registry_in_the_pattern_counts() -> None:
    catalogue = Catalogue((entry("registry.example/acme/shop"), entry("docker.io/acme/bar")))
    assert catalogue.find("registry.example/acme/shop:1") is not None
    assert catalogue.find("other.example/acme/shop:1") is None
    assert catalogue.find("acme/bar") is not None
    assert catalogue.find("other.example/acme/bar") is None


def test_commands_as_in_kubernetes() -> None:
    each = ImageEntry("a", ("{python}", "-m", "x"), ("1",))
    python = "/venv/python"

    def line(found: ImageEntry | None, command: tuple[str, ...], args: tuple[str, ...]) -> tuple[str, ...] | None:
        return command_line(found, command, args, python=python, exists=everywhere)

    assert line(each, (), ()) == (python, "-m", "x", "1")
    assert line(each, (), ("2",)) == (python, "-m", "x", "2")
    assert line(each, ("sh",), ()) == ("sh",)
    assert line(each, ("sh", "{python}"), ("-c",)) == ("sh", "{python}", "-c")
    assert line(None, ("sh",), ("-c",)) == ("sh", "-c")
    assert line(None, (), ("-c",)) is None


def test_programs_inside_an_image() -> None:
    curl = shipped().find("curlimages/curl")
    bin_python = "/py"
    ours = ("/py", "-I", "-m", "meshwright.images.sleep", "infinity")
    words = ("/bin/sleep", "infinity")
    assert resolve_program(curl, words, python=bin_python, exists=everywhere) == words
    assert resolve_program(curl, words, python=bin_python, exists=nowhere) == ours
    assert resolve_program(None, words, python=bin_python, exists=nowhere) == words
    assert resolve_program(curl, (), python=bin_python, exists=nowhere) == ()
    httpbin = shipped().find("kennethreitz/httpbin")
    line = command_line(httpbin, ("gunicorn", "-b", "0.0.0.0:80"), (), python=bin_python, exists=everywhere)
    assert line == ("/py", "-I", "-m", "meshwright.images.httpbin", "--classic", "-b", "0.0.0.0:80")


def test_the_entry_to_add_is_one() -> None:
    for image in ("acme/shop:1", "registry.example:5000/acme/Shop_x@sha256:0", "docker.io/acme/" + "x" * 99):
        document = yaml.safe_load(entry_to_add(image))
        assert document["metadata"]["labels"] == {"meshwright.dev/image-catalogue": "true"}
        assert len(document["metadata"]["name"]) <= 63
        catalogue, errors = read_catalogue(yaml.safe_load(document["data"]["images.yaml"]))
        assert errors == ()
        assert catalogue.find(image) is not None


MISTAKES: list[tuple[object, str]] = [
    ([], "catalogue: must be a mapping"),
    ({"image": []}, "image: unknown field"),
    ({"images": {}}, "images: must be a list"),
    ({"images": ["x"]}, "images[0]: must be a mapping"),
    ({"images": [{"command": ["a"]}]}, "images[0].pattern: is required"),
    ({"images": [{"pattern": "a"}]}, "images[0].command: is required"),
    ({"images": [{"pattern": "a", "comand": ["a"]}]}, "images[0].comand: unknown field; did you mean 'command'?"),
    ({"images": [{"pattern": "a", "command": "a b"}]}, "images[0].command: must be a list of words"),
    (
        {"images": [{"pattern": "a", "command": [1]}]},
        "images[0].command[0]: must be a string: write it in quotes",
    ),
    ({"images": [{"pattern": "a:1", "command": ["a"]}]}, "images[0].pattern: stands for every tag"),
    ({"images": [{"pattern": "*", "command": ["a"]}]}, "images[0].pattern: would match every image"),
    ({"images": [{"pattern": "a", "command": ["a"], "env": {"A": True}}]}, "images[0].env.A: must be a string"),
    (
        {"images": [{"pattern": "a", "command": ["a"], "programs": {"b": []}}]},
        "images[0].programs.b: needs at least",
    ),
    ({"images": [{"pattern": "a", "command": ["a"], "env": {1: "x"}}]}, "images[0].env: the key 1 must be"),
    (
        {"images": [{"pattern": "a", "command": ["a"], "workingDir": []}]},
        "images[0].workingDir: must be a string",
    ),
]


@pytest.mark.parametrize(("value", "message"), MISTAKES)
def test_mistakes_are_told_with_their_path(value: object, message: str) -> None:
    catalogue, errors = read_catalogue(value)
    assert catalogue.entries == ()
    assert any(each.startswith(message) for each in errors), errors


def test_a_mistake_leaves_the_other_entries_alone() -> None:
    catalogue, errors = read_catalogue(
        {"images": [{"pattern": "a"}, {"pattern": "b", "command": ["x"], "args": None, "env": {"A": "1"}}]}
    )
    assert len(errors) == 1
    assert catalogue.entries == (ImageEntry("b", ("x",), env=(("A", "1"),)),)
    assert read_catalogue(None) == (Catalogue(), ())


SEGMENT = st.from_regex(r"[a-z0-9]+([._-][a-z0-9]+)*", fullmatch=True)
PATH = st.lists(SEGMENT, min_size=1, max_size=3).map("/".join)
SUFFIX = st.sampled_from(["", ":1", ":v1.2-x", "@sha256:00ff", ":1@sha256:00ff"])


@given(PATH, st.sampled_from(["", "docker.io/", "localhost/", "r.example:5000/"]), SUFFIX)
def test_a_reference_matches_its_own_repository_whatever_tag(path: str, registry: str, suffix: str) -> None:
    image = registry + path + suffix
    assert repository(image) == registry + path
    assert Catalogue((entry(registry + path),)).find(image) is not None
    assert Catalogue((entry(registry + path),)).find(image + "x") is None or suffix


@given(st.lists(st.text("ab*?[]/", min_size=1, max_size=6), max_size=6), st.text("ab/", min_size=1, max_size=6))
def test_what_is_found_has_most_literals(patterns: list[str], image: str) -> None:
    entries = tuple(entry(pattern) for pattern in patterns)
    matching = [each for each in entries if Catalogue((each,)).find(image)]
    found = Catalogue(entries).find(image)
    assert (found is None) == (not matching)
    if found:
        assert literals(found.pattern) == max(literals(each.pattern) for each in matching)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3)
    ),
    max_leaves=12,
)
FIELDS = st.sampled_from(["pattern", "command", "args", "env", "workingDir", "programs", "fallbacks", "x"])


@given(JUNK | st.fixed_dictionaries({"images": st.lists(st.dictionaries(FIELDS, JUNK), max_size=3)}))
def test_reads_anything_without_harm(value: Any) -> None:
    catalogue, _ = read_catalogue(value)
    for each in catalogue.entries:
        assert each.pattern
        assert each.command
