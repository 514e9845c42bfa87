"""Whom a receipt counts: who was there when the change came and is there still."""

from dataclasses import dataclass, field

from meshwright.asynctools.latest import Latest
from meshwright.model.names import ProxyName
from meshwright.model.published import Published
from meshwright.node.progress import ProxyProgress
from meshwright.wiring.receipts import Receipts
from tests.node.mesh import endpoints, published


@dataclass
class Proxies:
    """Proxies that are as far as the test says."""

    moved: Latest[int] = field(default_factory=lambda: Latest(0))
    known: dict[ProxyName, ProxyProgress] = field(default_factory=dict[ProxyName, ProxyProgress])

    def progress(self) -> dict[ProxyName, ProxyProgress]:
        return self.known


OLD, NEW = ProxyName("old.default"), ProxyName("new.default")


def world(change: int, *names: str) -> Published:
    return published({"one": (endpoints("x", str(change)),)}, dict.fromkeys(names, "one"), change)


def receipts(*names: ProxyName, connected: bool) -> tuple[Receipts, Proxies, Latest[Published]]:
    proxies, latest = Proxies(), Latest(world(1, "old"))
    proxies.known = {OLD: ProxyProgress(connected=True, serial=1, change=1)}
    made = Receipts(proxies, latest, lambda: 0.0)
    made.start(1)
    proxies.known |= {name: ProxyProgress(connected=connected, serial=1, change=1) for name in names}
    return made, proxies, latest


def test_a_proxy_that_came_between_two_changes_is_waited_for() -> None:
    made, _, latest = receipts(NEW, connected=True)
    latest.set(world(2, "old", "new"))
    made.published(2, 0.0)
    found = made.of(2)
    assert found is not None
    assert found.waiting == found.affected == (NEW, OLD)


def test_a_proxy_that_is_only_about_to_come_is_not() -> None:
    made, _, latest = receipts(NEW, connected=False)
    latest.set(world(2, "old", "new"))
    made.published(2, 0.0)
    found = made.of(2)
    assert found is not None
    assert (found.affected, found.absent) == ((OLD,), ())


def test_a_proxy_that_has_gone_meanwhile_is_not_absent() -> None:
    made, proxies, latest = receipts(NEW, connected=True)
    latest.set(world(2, "old", "new"))
    made.published(2, 0.0)
    del proxies.known[NEW]
    found = made.of(2)
    assert found is not None
    assert (found.affected, found.waiting, found.absent) == ((OLD,), (OLD,), ())


def test_who_was_refused_because_of_another_object_is_live_in_the_end() -> None:
    made, proxies, latest = receipts(connected=True)
    latest.set(world(2, "old"))
    made.published(2, 0.0)
    [row] = [
        (url, name, each.version)
        for url, named in (latest.value.resources_of(OLD) or {}).items()
        for name, each in named.items()
    ]
    proxies.known = {OLD: ProxyProgress(connected=True, serial=2, change=2, refused=(row,))}
    made.published(2, 0.0)
    refused = made.of(2)
    assert refused is not None
    assert (refused.refused, refused.live) == ((OLD,), False)
    live = made.taken_after_all(refused, 30.0)
    assert live.live
    assert live.milliseconds == 30.0
    assert made.of(2) == live
