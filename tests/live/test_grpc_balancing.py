"""gRPC calls on one connection are balanced per call."""

import json
from collections import Counter

from tests.live.mesh import Mesh


def test_calls_of_one_connection_reach_both_pods(mesh: Mesh) -> None:
    answers = json.loads(mesh.python("deploy/client.live", "greet.py", "greeter:9000", "100"))
    seen = Counter(answer.split()[0] for answer in answers)
    assert sum(seen.values()) == 100
    assert len(seen) == 2
    assert min(seen.values()) >= 20
