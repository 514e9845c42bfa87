"""Conditions of http[].match choose the rule."""

from typing import Any

import pytest

from tests.live.mesh import Mesh

URL = "http://request-match:8000"


@pytest.mark.parametrize(
    ("path", "spec", "version"),
    [
        ("/", {}, "v1"),
        ("/", {"headers": {"end-user": "jason"}}, "v2"),
        ("/", {"headers": {"end-user": "jason2"}}, "v1"),
        ("/?lane=v2-blue", {}, "v2"),
        ("/?lane=v1", {}, "v1"),
        ("/", {"method": "DELETE"}, "v2"),
        ("/api/v12/two", {}, "v2"),
        ("/api/v12/two/more", {}, "v1"),
        ("/insensitive/x", {}, "v2"),
        ("/insensitive/x", {"headers": {"x-skip": "1"}}, "v1"),
    ],
)
def test_the_right_rule_takes_it(mesh: Mesh, path: str, spec: dict[str, Any], version: str) -> None:
    answers = mesh.ask(URL + path, count=5, **spec)
    assert [answer.version for answer in answers] == [version] * 5
