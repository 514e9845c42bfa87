"""What every refusal looks like."""

from typing import Any

from tests.apiserver.server import Answer

Json = dict[str, Any]


def refused(answer: Answer, code: int, reason: str) -> Json:
    """The Status of a refusal, with everything that each of them has."""
    assert answer.status == code, answer.text.decode()
    assert answer.headers["Content-Type"] == "application/json"
    status: Json = answer.json
    assert (status["kind"], status["apiVersion"], status["status"]) == ("Status", "v1", "Failure")
    assert status["metadata"] == {}
    assert (status["code"], status["reason"]) == (code, reason)
    assert isinstance(status["message"], str)
    assert status["message"]
    return status


def fields(status: Json) -> list[str]:
    """The fields that a Status of invalid objects names."""
    return [cause.get("field", "") for cause in status["details"]["causes"]]
