"""Label and field selectors, as Kubernetes writes them."""

import pytest

from meshwright.store.decide import body_of
from meshwright.store.errors import InvalidError
from meshwright.store.names import EpochMilliseconds, Revision, Uid
from meshwright.store.objects import created
from meshwright.store.selectors import parse_selector
from meshwright.store.version import Version
from tests.store.objects import START, key, value


def version(labels: dict[str, str]) -> Version:
    sent = value(spec=True, labels=labels) | {"involved": {"name": "pod-1", "count": 3}}
    made = created(sent, key("a", "one"), EpochMilliseconds(START), Uid("u"))
    return Version(key("a", "one"), Revision(1), Uid("u"), body_of(made, Revision(1)))


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("", True),
        ("app=a", True),
        ("app==a", True),
        ("app=b", False),
        ("app!=b", True),
        ("none!=b", True),
        ("app", True),
        ("none", False),
        ("!none", True),
        ("!app", False),
        ("app in (a,b)", True),
        ("app in (b, c)", False),
        ("app notin (b)", True),
        ("none notin (b)", True),
        ("example.org/tier in ( front ) , app = a", True),
        ("app=a,example.org/tier!=front", False),
        ("empty=", True),
        ("empty,app=", False),
        (" app = a ", True),
    ],
)
def test_labels(text: str, chosen: bool) -> None:  # noqa: FBT001
    labels = {"app": "a", "example.org/tier": "front", "empty": ""}
    assert parse_selector(text).selects(version(labels)) is chosen


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("metadata.name=a", True),
        ("metadata.name==a,metadata.namespace=one", True),
        ("metadata.namespace!=one", False),
        ("involved.name=pod-1", True),
        ("involved.count=3", True),
        ("spec.x=true", True),
        ("spec.none=", True),
        ("spec.x.deeper!=1", True),
    ],
)
def test_fields(text: str, chosen: bool) -> None:  # noqa: FBT001
    assert parse_selector(fields=text).selects(version({})) is chosen


@pytest.mark.parametrize(
    "text", ["=a", "a=b,", ",a=b", "a in b", "a in (b", "!a=b", "a>b", "a=b c", "a notin ($)", "a b", "a in"]
)
def test_labels_that_mean_nothing(text: str) -> None:
    with pytest.raises(InvalidError):
        parse_selector(text)


@pytest.mark.parametrize("text", ["a", "a=b,", "=b", "a in (b)", "a=b=c"])
def test_fields_that_mean_nothing(text: str) -> None:
    with pytest.raises(InvalidError):
        parse_selector(fields=text)


def test_a_name_is_known_where_only_one_can_be_chosen() -> None:
    assert parse_selector(fields="metadata.namespace=one,metadata.name=a").name == "a"
    assert parse_selector(fields="metadata.name!=a").name is None
    assert not parse_selector()
