"""Weights of http[].route divide real requests."""

import math

from tests.live.mesh import Mesh

COUNT = 1000
SHARE = 0.8


def test_80_20_within_statistical_error(mesh: Mesh) -> None:
    before = mesh.counts("echo-v1").get("split", 0)
    seen = mesh.versions("http://traffic-split:8000/", COUNT, headers={"x-test-id": "split"})
    assert seen["v1"] + seen["v2"] == COUNT
    # five standard deviations of a binomial: one run in two million fails by chance
    assert abs(seen["v1"] - COUNT * SHARE) < 5 * math.sqrt(COUNT * SHARE * (1 - SHARE))
    assert mesh.counts("echo-v1")["split"] - before == seen["v1"]
