"""Whom a receipt counts: who was there when the change came and is there still."""

from dataclasses import dataclass, field, replace

from meshwright.asynctools.latest import Latest
from meshwright.model.names import ProxyName, ResourceName, TypeUrl, Version
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
    made.published(2, 0.0, world(1, "old"))
    found = made.of(2)
    assert found is not None
    assert found.waiting == found.affected == (NEW, OLD)


def test_a_proxy_that_is_only_about_to_come_is_not() -> None:
    made, _, latest = receipts(NEW, connected=False)
    latest.set(world(2, "old", "new"))
    made.published(2, 0.0, world(1, "old"))
    found = made.of(2)
    assert found is not None
    assert (found.affected, found.absent) == ((OLD,), ())


def test_a_proxy_that_has_gone_meanwhile_is_not_absent() -> None:
    made, proxies, latest = receipts(NEW, connected=True)
    latest.set(world(2, "old", "new"))
    made.published(2, 0.0, world(1, "old"))
    del proxies.known[NEW]
    found = made.of(2)
    assert found is not None
    assert (found.affected, found.waiting, found.absent) == ((OLD,), (OLD,), ())


def test_what_pods_brought_about_between_two_changes_belongs_to_neither() -> None:
    made, _, latest = receipts(connected=True)
    latest.set(world(2, "old"))
    before = latest.value
    latest.set(replace(before, change=3))
    made.published(2, 0.0, before)
    found = made.of(2)
    assert found is not None
    assert (found.affected, found.live) == ((), True)


def test_the_time_is_that_of_those_who_run_it_and_not_until_another_is_given_up() -> None:
    times = [0.0]
    proxies, latest = Proxies(), Latest(world(1, "old", "new"))
    behind = ProxyProgress(connected=True, serial=1, change=1)
    proxies.known = {OLD: behind, NEW: behind}
    made = Receipts(proxies, latest, lambda: times[-1])
    made.start(1)
    before = latest.value
    latest.set(world(2, "old", "new"))
    made.published(2, 0.0, before)
    for now, known in (
        (0.03, {OLD: ProxyProgress(connected=True, serial=2, change=2), NEW: behind}),
        (3.0, {OLD: ProxyProgress(connected=True, serial=2, change=2), NEW: replace(behind, connected=False)}),
    ):
        times.append(now)
        proxies.known = known
        made.published(2, 0.0, latest.value)  # looks again
    found = made.of(2)
    assert found is not None
    assert (found.live, found.absent, found.milliseconds) == (True, (NEW,), 30.0)


def row(published: Published) -> tuple[TypeUrl, ResourceName, Version]:
    """The only resource there is."""
    [found] = [
        (url, name, each.version)
        for url, named in (published.resources_of(OLD) or {}).items()
        for name, each in named.items()
    ]
    return found


def refused() -> tuple[Receipts, Proxies, Latest[Published]]:
    """Change 2 is refused by the only proxy."""
    made, proxies, latest = receipts(connected=True)
    latest.set(world(2, "old"))
    proxies.known = {OLD: ProxyProgress(connected=True, serial=2, change=2, refused=(row(latest.value),))}
    made.published(2, 0.0, world(1, "old"))
    found = made.of(2)
    assert found is not None
    assert (found.refused, found.live) == ((OLD,), False)
    return made, proxies, latest


def test_who_was_refused_because_of_something_else_is_live_when_all_of_it_is_taken() -> None:
    made, proxies, latest = refused()
    held = True
    made.lets = lambda change: change == 2 and not held
    latest.set(world(3, "old"))
    proxies.known = {OLD: ProxyProgress(connected=True, serial=3, change=3)}
    made.published(2, 0.0, world(1, "old"))
    found = made.of(2)
    assert found is not None
    assert found.refused == (OLD,), "something of it is held back"
    held = False
    made.published(2, 0.0, world(1, "old"))
    found = made.of(2)
    assert found is not None
    assert (found.refused, found.live) == ((), True)


def test_it_is_refused_while_anybody_refuses_the_newest_or_does_not_run_it() -> None:
    made, proxies, latest = refused()
    made.lets = lambda _: True
    old, latest_row = row(latest.value), row(world(3, "old"))
    latest.set(world(3, "old"))
    for progress in (
        ProxyProgress(connected=True, serial=2, change=2),
        ProxyProgress(connected=False, serial=3, change=3),
        ProxyProgress(connected=True, serial=3, change=3, refused=(latest_row,)),
    ):
        proxies.known = {OLD: progress}
        made.published(2, 0.0, world(1, "old"))
        found = made.of(2)
        assert found is not None
        assert found.refused == (OLD,)
    proxies.known = {OLD: ProxyProgress(connected=True, serial=3, change=3, refused=(old,))}  # of a version before
    made.published(2, 0.0, world(1, "old"))
    found = made.of(2)
    assert found is not None
    assert found.live
