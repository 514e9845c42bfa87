"""A receipt says when every proxy that a change affects runs it, and who does not yet."""

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from meshwright.asynctools.latest import Latest
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.names import ProxyName, ResourceName, TypeUrl, Version
from meshwright.model.published import Published, Resources
from meshwright.model.sentence import Sentence
from meshwright.node.progress import NO_PROGRESS, ProxyProgress
from meshwright.wiring.acknowledgements import behind
from meshwright.wiring.affected import affected
from meshwright.wiring.sentences import INSTEAD, WITHHELD
from meshwright.wiring.tls_steps import Effect, Step, TlsSteps

KEPT = 1000
NO_RESOURCES: Resources = {}
_NOT_AS_STORED = (codes.ROUTE_WITHHELD, codes.SUBSET_KEPT)


class Proxies(Protocol):
    """How far proxies are: `node.server.NodeServer` is one."""

    @property
    def moved(self) -> Latest[int]:
        """Another number whenever anything moved."""
        ...

    def progress(self) -> Mapping[ProxyName, ProxyProgress]:
        """Every published proxy."""
        ...


@dataclass(frozen=True, slots=True)
class Receipt:
    """`affected` proxies get other bytes by the change; `absent` of them are not connected and count apart.

    `refused`: they did not take something of it (yet). `milliseconds` from the moment the change was stored until all
    others ran it (or refused), from a restart on where one came between; None while `waiting` is not empty.
    `withheld`: what of it was not in effect then.
    `steps`: what the change still has to go through before it is in effect (see `tls_steps`), in words; until then
    `waiting` also names those whom such a step waits for.
    """

    change: int
    affected: tuple[ProxyName, ...]
    waiting: tuple[ProxyName, ...]
    absent: tuple[ProxyName, ...]
    milliseconds: float | None
    refused: tuple[ProxyName, ...] = ()
    withheld: tuple[Sentence, ...] = ()
    steps: tuple[str, ...] = ()

    @property
    def live(self) -> bool:
        return self.complete and not self.refused and not self.withheld

    @property
    def complete(self) -> bool:
        """Whether nobody is waited for any more."""
        return self.milliseconds is not None


Rows = dict[ProxyName, set[tuple[TypeUrl, ResourceName]]]
"""Which resources each of some proxies refused."""


@dataclass(slots=True)
class _Open:
    """A change that is not complete: when it was stored, the publications before and with it, and whom it affects.
    Who refused it stays noted: what is refused may be taken back before the last proxy has seen it.
    """

    since: float
    before: Published
    now: Published
    names: tuple[ProxyName, ...]
    refused: Rows = field(default_factory=Rows)
    withheld: tuple[Sentence, ...] = ()
    running: int = -1
    ran: float = 0.0

    @property
    def publication(self) -> int:
        return self.now.change

    def stepped(self, effect: Effect) -> None:
        """Its last step is published."""
        self.now = effect.published
        self.names = tuple(sorted({*self.names, *effect.names}))
        self.running = -1

    def count(self, receipt: Receipt, now: float) -> None:
        """Remember when the last of those who run it came to do so: who is absent is known to be only later."""
        running = len(receipt.affected) - len(receipt.waiting) - len(receipt.absent)
        if running > self.running:
            self.running, self.ran = running, now

    def note(self, progress: Mapping[ProxyName, ProxyProgress]) -> None:
        """Remember who refuses something that came with this change."""
        for name in self.names:
            each = progress.get(name, NO_PROGRESS)
            if came := {row[:2] for row in each.refused if self._came(name, row, each.change)}:
                self.refused.setdefault(name, set()).update(came)

    def _came(self, proxy: ProxyName, row: tuple[TypeUrl, ResourceName, Version], change: int) -> bool:
        """A proxy that is further than this change may refuse a newer version: of this one it has taken nothing."""
        url, name, version = row
        now = _version(self.now, proxy, url, name)
        return now != _version(self.before, proxy, url, name) and (version == now or change >= self.publication)


@dataclass(frozen=True, slots=True)
class _Refused:
    """A change that was refused, and when it was stored."""

    since: float
    rows: Rows

    def is_taken(self, latest: Published, progress: Mapping[ProxyName, ProxyProgress]) -> bool:
        """Whether everybody who refused something of it (and is still there) runs what was published last, and takes
        the newest version of that.
        """
        return all(
            each.connected and each.change >= latest.change and not _refuses_still(latest, name, rows, each)
            for name, rows in self.rows.items()
            if (each := progress.get(name)) is not None
        )


class Receipts:
    """Feed it with `published`; ask for a change with `of` or wait with `wait`.

    A change that is refused may be live later: when it was the fault of something else in the same resource, or is
    tried again. `lets` tells whether nothing of a change is held back now. What takes `steps` is live after the last.
    """

    def __init__(
        self,
        proxies: Proxies,
        published: Latest[Published],
        clock: Callable[[], float],
        steps: TlsSteps | None = None,
    ) -> None:
        self._steps = steps or TlsSteps()
        self._effects: dict[int, int] = {}  # since which publication changes that took steps are in effect
        self._proxies = proxies
        self._latest = published
        self._clock = clock
        self.lets: Callable[[int], bool] = _nobody_knows
        self._newest = 0
        self._open: dict[int, _Open] = {}
        self._done: dict[int, Receipt] = {}
        self._refused: dict[int, _Refused] = {}
        self._numbers: list[tuple[int, int]] = []  # publication, and the newest change that it holds; both ascending
        self.news: Latest[int] = Latest(0)

    def start(self, change: int) -> None:
        """Changes up to this number were there before: they have no receipt, but for those whose steps are not taken;
        these count from now on.
        """
        now = self._latest.value
        self._newest = change
        self._numbers = [(now.change, change)]
        self._open |= {number: _Open(self._clock(), now, now, ()) for number in self._steps.carried}

    def published(self, change: int, since: float, before: Published) -> None:
        """What was published last holds the changes up to this number, of which the oldest new one was stored at
        `since` (by the clock of this object) and came upon what was published `before`; several may come at once.
        What pods brought about between two changes belongs to neither.
        """
        now = self._latest.value
        there = {name for name, each in self._proxies.progress().items() if each.connected}
        names, withheld = affected(before, now, there), _withheld(before, now)
        opened = _Open(since, before, now, names, withheld=withheld)
        for number in range(self._newest + 1, change + 1):
            alone = self._steps.takes_steps(number)
            self._open[number] = _Open(since, before, now, names, withheld=withheld) if alone else opened
        self._newest = max(self._newest, change)
        self._numbers = [*self._numbers[-KEPT:], (now.change, self._newest)]
        self._complete()

    def of(self, change: int) -> Receipt | None:
        """How far a change is; None when it is not known (any more)."""
        done = self._done.get(change)
        if done is not None or change not in self._open:
            return done
        return _looked_at(change, self._open[change], self._proxies.progress(), self._steps.steps_of(change))

    def change_of(self, publication: int) -> int | None:
        """The newest change that a proxy runs whose newest publication this is; None when that is not known."""
        at = bisect_right(self._numbers, publication, key=lambda pair: pair[0])
        if not at:
            return None
        newest = self._numbers[at - 1][1]
        while newest and (self._steps.in_steps(newest) or self._effects.get(newest, 0) > publication):
            newest -= 1
        return newest

    def publication_of(self, change: int) -> int | None:
        """The first known publication that holds a change; None while there is none, and while it takes steps."""
        if self._steps.in_steps(change):
            return None
        self._step()
        if change in self._effects:
            return self._effects[change]
        at = bisect_left(self._numbers, change, key=lambda pair: pair[1])
        return self._numbers[at][0] if at < len(self._numbers) else None

    async def wait(self, change: int, seconds: float) -> Receipt | None:
        """The receipt once it is complete, or as it is after so long."""
        return await self._until(change, seconds, lambda receipt: receipt.complete)

    async def taken(self, change: int, seconds: float) -> Receipt | None:
        """The receipt once nobody refuses the change (any more), or as it is after so long."""
        return await self._until(change, seconds, lambda receipt: receipt.complete and not receipt.refused)

    async def _until(self, change: int, seconds: float, is_so: Callable[[Receipt], bool]) -> Receipt | None:
        try:
            async with asyncio.timeout(seconds):
                while True:
                    seen = self.news.value
                    receipt = self.of(change)
                    if receipt is not None and is_so(receipt):
                        return receipt
                    await self.news.newer_than(seen)
        except TimeoutError:
            return self.of(change)

    async def run(self) -> None:
        """Complete open receipts for ever, whenever a proxy has moved on."""
        while True:
            seen = self._proxies.moved.value
            self._complete()
            await self._proxies.moved.newer_than(seen)

    def _complete(self) -> None:
        doubted = [change for change in self._refused if self.lets(change)]
        if not self._open and not doubted:
            return
        self._step()
        progress = self._proxies.progress()
        for change, opened in list(self._open.items()):
            opened.note(progress)
            receipt = _looked_at(change, opened, progress, ())
            opened.count(receipt, self._clock())
            if not receipt.waiting and not self._steps.in_steps(change):
                self._finish(receipt, opened)
        for change in doubted:
            refused = self._refused[change]
            if refused.is_taken(self._latest.value, progress):
                del self._refused[change]
                self._note(replace(self._done[change], refused=()), self._clock() - refused.since)

    def _step(self) -> None:
        """Note which open changes are in effect now whose steps are all taken."""
        for change, opened in self._open.items():
            if (effect := self._steps.effect_of(change)) is not None:
                opened.stepped(effect)
                self._effects[change] = effect.published.change
        while len(self._effects) > KEPT:
            self._effects.pop(next(iter(self._effects)))

    def _finish(self, receipt: Receipt, opened: _Open) -> None:
        del self._open[receipt.change]
        if receipt.refused:
            self._refused[receipt.change] = _Refused(opened.since, opened.refused)
        self._note(receipt, opened.ran - opened.since)
        while len(self._done) > KEPT:
            oldest = next(iter(self._done))
            del self._done[oldest]
            self._refused.pop(oldest, None)

    def _note(self, receipt: Receipt, seconds: float) -> None:
        self._done[receipt.change] = replace(receipt, milliseconds=seconds * 1000)
        self.news.set(self.news.value + 1)


def _nobody_knows(change: int) -> bool:
    """Nobody says what is held back: who was refused stays so."""
    del change
    return False


def _refuses_still(
    latest: Published, proxy: ProxyName, rows: Collection[tuple[TypeUrl, ResourceName]], progress: ProxyProgress
) -> bool:
    """Whether a proxy refuses the newest version of one of these resources."""
    return any(
        (url, name) in rows and version == _version(latest, proxy, url, name)
        for url, name, version in progress.refused
    )


def _looked_at(
    change: int, opened: _Open, progress: Mapping[ProxyName, ProxyProgress], steps: tuple[Step, ...]
) -> Receipt:
    """A receipt that is not complete, as things stand; `steps` are those that it waits for. Who has gone meanwhile is
    not affected any more.
    """
    absent: list[ProxyName] = []
    waiting: list[ProxyName] = []
    stepping = _waited_for(steps, progress)
    names = tuple(name for name in sorted({*opened.names, *stepping}) if name in progress)
    for name in names:
        each = progress[name]
        if not each.connected:
            absent.append(name)
        elif each.change < opened.publication or name in stepping:
            waiting.append(name)
    refused = tuple(sorted(opened.refused))
    words = tuple(dict.fromkeys(step.stage.value for step in steps))
    return Receipt(change, names, tuple(waiting), tuple(absent), None, refused, opened.withheld, words)


def _waited_for(steps: tuple[Step, ...], progress: Mapping[ProxyName, ProxyProgress]) -> set[ProxyName]:
    """Who has not acknowledged what one of these steps needs, and is connected or expected to be."""
    return {name for step in steps for name in behind(progress, step.since, step.names, absent=step.resumed)}


def _withheld(before: Published, now: Published) -> tuple[Sentence, ...]:
    """What is not in effect since then as it is stored, and why."""
    if now.diagnostics is before.diagnostics:
        return ()
    news = set(now.diagnostics).difference(before.diagnostics)
    return tuple(in_words(each) for each in now.diagnostics if each in news and each.code in _NOT_AS_STORED)


def in_words(withheld: Diagnostic) -> Sentence:
    """reviews: not in effect: subset v1 of reviews is not defined; the route before it goes on."""
    name = withheld.origin.object.name
    subset, host, *rest = withheld.args
    if not rest:
        return WITHHELD.say("subset-kept", object=name, subset=subset, host=host)
    instead = INSTEAD.read(rest[0])
    assert instead is not None, "withheld.py says one of these"
    return WITHHELD.say("withheld", object=name, subset=subset, host=host, instead=instead)


def _version(published: Published, proxy: ProxyName, url: TypeUrl, name: ResourceName) -> Version | None:
    """Which version of a resource a proxy is to have."""
    resource = (published.resources_of(proxy) or NO_RESOURCES).get(url, {}).get(name)
    return None if resource is None else resource.version
