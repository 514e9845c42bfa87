"""The one line with which a change ends: whose it is, how far it is, its number."""

from typing import Any

import pytest

from meshwright.cli.control import tell

RECEIPT: dict[str, Any] = {
    "live": True,
    "affected": 4,
    "milliseconds": 38.2,
    **{name: [] for name in ("waiting", "absent", "refused", "withheld", "steps")},
}


def told(capsys: pytest.CaptureFixture[str], *objects: tuple[str, str], **receipt: Any) -> str:
    """The last line."""
    listed = [{"object": name, "action": action} for name, action in objects]
    tell({"objects": listed, "change": 17, "receipt": {**RECEIPT, **receipt}})
    return capsys.readouterr().out.splitlines()[-1]


def test_one_object_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    line = told(capsys, ("VirtualService default/reviews", "configured"))
    assert line == "reviews: live on 4/4 proxies in 38 ms, change 17"


def test_what_was_not_changed_has_no_receipt(capsys: pytest.CaptureFixture[str]) -> None:
    line = told(capsys, ("Namespace shop", "created"), ("VirtualService default/reviews", "unchanged"))
    assert line == "shop: live on 4/4 proxies in 38 ms, change 17"


def test_objects_of_one_name_are_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    line = told(
        capsys,
        ("VirtualService default/reviews", "created"),
        ("DestinationRule default/reviews", "created"),
        ("VirtualService default/details", "created"),
    )
    assert line == "reviews, details: live on 4/4 proxies in 38 ms, change 17"


def test_of_many_objects_their_number_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    line = told(capsys, *((f"Service default/s{number}", "created") for number in range(4)))
    assert line == "4 objects: live on 4/4 proxies in 38 ms, change 17"


def test_who_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    line = told(capsys, ("Service default/web", "created"), live=False, waiting=["web-1.default"])
    assert line == "web: live on 3/4 proxies so far, change 17; waiting for: web-1.default"


def test_what_is_withheld_names_its_own_object(capsys: pytest.CaptureFixture[str]) -> None:
    sentence = "reviews: not in effect: subset v1 of reviews is not defined; the route before it goes on"
    listed = [{"object": "VirtualService default/reviews", "action": "configured"}]
    for affected, rest in ((0, []), (4, ["reviews: live on 4/4 proxies in 38 ms, change 17"])):
        receipt = {**RECEIPT, "live": False, "withheld": [sentence], "affected": affected}
        tell({"objects": listed, "change": 17, "receipt": receipt})
        assert capsys.readouterr().out.splitlines()[1:] == [f"{sentence} (change 17)", *rest]
