"""The visitors of the demo: what they count, and their rest."""

import json
import time
from typing import Any

import pytest

from tests.images.programs import ask, running

TARGET, OWN = 5000, 8090


def told(address: str, method: str = "GET", path: str = "/counts") -> dict[str, Any]:
    status, _, body = ask(address, OWN, path, method)
    assert status == 200
    return json.loads(body)


def test_visitors_count_and_rest() -> None:
    with running("helloworld", TARGET, env={"SERVICE_VERSION": "v1"}) as (target, _):
        url = f"http://{target}:{TARGET}/hello"
        with running("visitors", OWN, url, "50", str(OWN)) as (address, _):
            while told(address)["visits"] < 10:
                time.sleep(0.05)
            rested = told(address, "POST", "/rest?seconds=300")
            time.sleep(0.5)  # 25 visits, if somebody came
            assert told(address) == rested
            assert rested["answers"] == {"200": rested["visits"]}
            again = told(address, "POST", "/rest?seconds=0")
            while told(address)["visits"] < again["visits"] + 10:
                time.sleep(0.05)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/rest?seconds=1"), ("POST", "/rest"), ("POST", "/rest?seconds=nan")]
)
def test_what_is_no_rest(method: str, path: str) -> None:
    with running("visitors", OWN, "http://127.0.0.1:9/", "1", str(OWN)) as (address, _):
        assert ask(address, OWN, path, method)[0] == 400
