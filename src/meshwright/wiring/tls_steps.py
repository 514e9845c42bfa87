"""TLS modes change in steps, and how far a change is, is data: nobody stands still while proxies acknowledge.

Whether a client encrypts and whether its server decrypts is an agreement of two, and proxies get configuration one by
one. A change of PeerAuthentications is taken in steps: OPENING, servers take what clients send before and after it;
MOVING, clients follow it; then servers take only the new. A step ends when those run it whom the order depends on: of
OPENING the servers that were opened, of MOVING every proxy, for each may call each.

One change is on its way; what is written of PeerAuthentications meanwhile waits for that, all of it together; what is
taken back before clients have heard of it is dropped. What DestinationRules say of TLS goes with the modes that it is
meant for (see `held_rules`): every state that clients are in is one that somebody wanted. All other objects are
published at once. After a start it goes on from what was in effect (see `kept_steps`), or, where nobody knows that,
everything is in effect as it is stored.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from meshwright.model.chunked import differing
from meshwright.model.names import ProxyName
from meshwright.model.objects import MeshObjects
from meshwright.model.origin import ObjectRef
from meshwright.model.peer_authentication import PeerAuthentication
from meshwright.model.published import Published
from meshwright.wiring.affected import affected
from meshwright.wiring.held_rules import HeldRules, Rules

Policies = tuple[PeerAuthentication, ...]


class Stage(StrEnum):
    """What is waited for."""

    OPENING = "servers take both"
    MOVING = "clients follow"


@dataclass(frozen=True, slots=True)
class Step:
    """It has ended when `names` (None: all proxies) run the publication `since`. `number` is never used again.
    `resumed`: it was open before a start, so who is not connected yet may run something, and is waited for as well.
    """

    stage: Stage
    number: int
    since: int
    names: frozenset[ProxyName] | None
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class StepState:
    """What is in effect instead of what is stored, as it outlives this process: the policies that clients follow,
    those that servers take besides, the rules whose TLS clients follow, and those that go with the modes on their way
    (both as `HeldRules.spoken` has them). After change `settled` all was in effect as it was stored.
    """

    stage: Stage | None
    followed: Policies
    also: Policies | None
    told: Rules
    aimed: Rules = ()
    settled: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Effect:
    """A change that took steps is in effect since `published`; `names` got other bytes by its steps."""

    published: Published
    names: frozenset[ProxyName]


@dataclass(slots=True)
class _Carried:
    """A change that waits until all is settled, or servers are open, up to these epochs."""

    settled: int
    opened: int
    names: set[ProxyName] = field(default_factory=set[ProxyName])


class TlsSteps:
    """Ask `in_effect` what to compile, with the servers' `also`, and tell it what was `published`; `go_on` with a
    step that has ended, and publish again. `carry` a change to know when it is `in_steps`, and its effect afterwards.
    Keep its `state` before what is in effect is published: the next process goes on with it as `resumed`.
    """

    def __init__(self, resumed: StepState | None = None) -> None:
        self.also: Policies | None = None  # what servers take besides: what comes, or what was
        self.round = 0  # another number when anything of it is another
        self._stored: Policies | None = None
        self._followed: Policies = ()  # by clients
        self._epoch = self._heading = 0  # of what is stored, and of what is on its way
        self._opened = self._settled = 0  # for which epoch servers are open, and up to which all is done
        self._stage: Stage | None = None
        self._step: Step | None = None  # None while the stage is not published
        self._number = 0
        self._rules = HeldRules()
        self._has_stepped = self._has_released = False  # since the last publication
        self._reached: frozenset[ProxyName] = frozenset()  # by the newest step, if the last publication brought one
        self._carried: dict[int, _Carried] = {}
        self._effects: dict[int, Effect] = {}
        self.reached = 0  # the newest change that is among the objects
        self._rested = 0  # the newest change of the last time that all was in effect
        if resumed is not None:
            self._resume(resumed)

    def _resume(self, before: StepState) -> None:
        """As if what was on its way was all that is stored: what was written after it comes with the objects."""
        self._followed, self.also, self._stage = before.followed, before.also, before.stage
        opening = before.stage is Stage.OPENING
        self._stored = before.also if opening else before.followed
        self._rules.resume(before.told, before.aimed if opening else before.told)
        self._rested = before.settled
        if self._stage is not None:
            self.round = self._epoch = self._heading = 1
            self._opened = 0 if opening else 1

    @property
    def state(self) -> StepState:
        """What is in effect since `in_effect` was asked."""
        told, aimed = self._rules.spoken
        waits = aimed if self._stage is Stage.OPENING else ()
        return StepState(self._stage, self._followed, self.also, told, waits, self._rested)

    @property
    def rested(self) -> int:
        """After this change all was in effect as it was stored."""
        return self._rested

    # ------------------------------------------------------------ objects

    def in_effect(self, objects: MeshObjects, root: str) -> MeshObjects:
        """What is to be compiled instead of what is stored; `root` is the namespace whose policies are the mesh's."""
        policies, held = objects.peer_authentications, self._rules.held
        if self._stored is None:
            self._stored = self._followed = policies
        elif policies is not self._stored:
            self._want(policies)
        rules = self._rules_in_effect(objects, root)
        self._has_released |= not held <= self._rules.held
        if self._stage is None and not self._rules.held:
            self._rested = self.reached
        if self._followed is policies and rules is objects.destination_rules:
            return objects
        return replace(objects, peer_authentications=self._followed, destination_rules=rules)

    def _rules_in_effect(self, objects: MeshObjects, root: str) -> Rules:
        stored = objects.destination_rules
        if self._opened == self._epoch:
            return self._rules.let_go(stored)
        moving = self._moving()
        places = None if root in moving else moving
        aims = self._stage is Stage.OPENING and self._heading == self._epoch
        return self._rules.hold(stored, objects.services, places, aims=aims)

    def _moving(self) -> frozenset[str]:
        """The namespaces whose policies are on their way."""
        sets = [_by_namespace(each) for each in (self._followed, self.also or (), self._stored or ())]
        names = {name for each in sets for name in each}
        return frozenset(name for name in names if any(each.get(name) != sets[0].get(name) for each in sets))

    def _want(self, stored: Policies) -> None:
        same, self._stored = stored == self._stored, stored
        if same:
            self._followed = stored if self._stage is None else self._followed
            return
        self.round += 1
        self._epoch += 1
        if self._stage is None or (self._stage is Stage.OPENING and stored == self._followed):
            self._open_or_rest()
        elif stored == (self.also if self._stage is Stage.OPENING else self._followed):
            self._heading = self._epoch  # to and fro: it is on its way already
            if self._stage is Stage.MOVING:
                self._opened = self._epoch

    # ------------------------------------------------------------ steps

    @property
    def open(self) -> tuple[Step, ...]:
        """The step that has not ended, if there is one."""
        return () if self._step is None else (self._step,)

    def go_on(self, ended: Iterable[Step]) -> bool:
        """Take the next step if the open one has ended; whether there is something to publish."""
        if self._step is None or self._step not in ended:
            return False
        self.round += 1
        if self._stage is Stage.OPENING:
            assert self.also is not None
            self._followed, self.also = self.also, self._followed
            self._rules.follow()
            self._opened = self._heading
            self._stage, self._step, self._has_stepped = Stage.MOVING, None, True
        else:
            self._settled = self._heading
            self._open_or_rest()
        return True

    def _open_or_rest(self) -> None:
        """After the last step, or instead of it."""
        assert self._stored is not None
        self._step, self._heading, self._has_stepped = None, self._epoch, True
        if self._stored == self._followed:
            self._stage, self.also, self._followed = None, None, self._stored
            self._opened = self._settled = self._epoch
        else:
            self._stage, self.also = Stage.OPENING, self._stored

    def published(self, before: Published, now: Published) -> None:
        """The newest publication holds what is in effect now."""
        self._reached = frozenset()
        if self._has_stepped or self._has_released:
            self._reached = frozenset(affected(before, now))
            for each in self._carried.values():
                each.names |= self._reached
        self._has_stepped = self._has_released = False
        if self._stage is not None and self._step is None:
            self._number += 1
            is_first = not before.change  # nobody knows what each proxy runs
            names = _opened(before, now) if self._stage is Stage.OPENING and not is_first else None
            self._step = Step(self._stage, self._number, now.change, names, resumed=is_first)
        for change, carried in list(self._carried.items()):
            if carried.settled <= self._settled and carried.opened <= self._opened:
                del self._carried[change]
                self._effects[change] = Effect(now, frozenset(carried.names))

    # ------------------------------------------------------------ changes

    def carry(self, change: int, rules: Iterable[ObjectRef], *, policies: bool) -> None:
        """A change of PeerAuthentications, if `policies`, and of these DestinationRules has just been published."""
        settled = self._epoch if policies else 0
        opened = self._epoch if self._rules.held & set(rules) else 0
        if settled > self._settled or opened > self._opened:
            self._carried[change] = _Carried(settled, opened, set(self._reached))

    @property
    def carried(self) -> tuple[int, ...]:
        """The changes that are `in_steps`."""
        return tuple(sorted(self._carried))

    def in_steps(self, change: int) -> bool:
        """Whether a change is not yet in effect because its steps are not taken."""
        return change in self._carried

    def takes_steps(self, change: int) -> bool:
        """Whether a change takes steps, or took some of which nobody has asked the effect yet."""
        return change in self._carried or change in self._effects

    def steps_of(self, change: int) -> tuple[Step, ...]:
        """What a change waits for."""
        return self.open if change in self._carried else ()

    def effect_of(self, change: int) -> Effect | None:
        """When a change took effect that took steps: told once."""
        return self._effects.pop(change, None)


def _by_namespace(policies: Policies) -> dict[str, Policies]:
    found: dict[str, list[PeerAuthentication]] = {}
    for each in policies:
        found.setdefault(each.meta.namespace, []).append(each)
    return {name: tuple(each) for name, each in found.items()}


def _opened(before: Published, now: Published) -> frozenset[ProxyName]:
    """The servers that take something else from clients than before; new ones have nothing before."""
    return frozenset(name for name in differing(before.proxies, now.proxies) if _is_other_server(name, before, now))


def _is_other_server(name: ProxyName, before: Published, now: Published) -> bool:
    old, new = before.proxies.get(name), now.proxies.get(name)
    if old is None or new is None:
        return False
    return (old.inbound, old.passthrough_mode) != (new.inbound, new.passthrough_mode)
