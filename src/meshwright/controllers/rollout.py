"""How many pods each ReplicaSet of a Deployment may have next: numbers in, numbers out."""

from dataclasses import dataclass

from meshwright.controllers.revisions import DESIRED, MAX, Generation, Generations
from meshwright.controllers.values import annotations_of, dig, share


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a rollout keeps to: pods desired, how many more there may be, and how many may be missing."""

    desired: int
    surge: int
    unavailable: int

    @property
    def most(self) -> int:
        return self.desired + self.surge if self.desired else 0

    @property
    def least_available(self) -> int:
        return max(0, self.desired - self.unavailable)


def bounds(desired: int, strategy: object) -> Bounds:
    """25 % each where nothing is said. A percentage more is rounded up, one less down; not both may be 0."""
    if dig(strategy, "type") == "Recreate":
        return Bounds(desired, 0, desired)
    surge, unavailable = (dig(strategy, "rollingUpdate", name) for name in ("maxSurge", "maxUnavailable"))
    more = share("25%" if surge is None else surge, desired, up=True)
    fewer = share("25%" if unavailable is None else unavailable, desired, up=False)
    if more <= 0 and fewer <= 0:
        fewer = 1
    return Bounds(desired, max(0, more), min(max(0, fewer), desired))


Sizes = dict[str, int]  # uid of a ReplicaSet -> the pods that it is to have


def grown(gens: Generations, limits: Bounds) -> int:
    """What the new ReplicaSet may have now, as large as the pods of the old ones leave room."""
    size = gens.new.size if gens.new is not None else 0
    if size >= limits.desired:
        return limits.desired
    room = limits.most - sum(each.size for each in gens.all)
    return size + max(0, min(room, limits.desired - size))


def shrunk(gens: Generations, limits: Bounds) -> Sizes:
    """What the old ReplicaSets are to have: first without pods that serve nobody, then without others.

    Pods that are available are only given up while `least_available` others are: each ReplicaSet lets pods go that
    are not available before those that are.
    """
    new = gens.new
    missing = new.size - new.kept_available if new is not None else 0
    spare = sum(each.size for each in gens.all) - limits.least_available - missing
    sizes: Sizes = {}
    for each in gens.old:  # pods that are not available cost nothing
        useless = min(each.size - each.kept_available, max(0, spare))
        spare -= useless
        sizes[each.set.uid] = each.size - useless
    available = sum(min(each.counts.available, sizes.get(each.set.uid, each.size)) for each in gens.all)
    surplus = min(max(0, spare), max(0, available - limits.least_available))
    for each in gens.old:
        # a ReplicaSet that still has pods of no use would give those up, not serving ones: it is left as it is
        usable = sizes[each.set.uid] if sizes[each.set.uid] <= each.counts.available else 0
        fewer = min(usable, surplus)
        surplus -= fewer
        sizes[each.set.uid] -= fewer
    return sizes


def is_rescaled(gens: Generations, limits: Bounds) -> bool:
    """The Deployment's size was changed since its ReplicaSets were given theirs."""
    marked = (_mark(each, DESIRED) for each in gens.all if each.size)
    return any(mark is not None and mark != limits.desired for mark in marked)


def scaled(gens: Generations, limits: Bounds) -> Sizes:
    """Sizes for another number of replicas: to the only one that has pods, or to each in proportion."""
    having = [each for each in gens.all if each.size]
    if len(having) <= 1:
        last = having or ([gens.new] if gens.new is not None else list(gens.old[-1:]))
        return {each.set.uid: limits.desired for each in last}
    return _in_proportion(having, limits)


def _in_proportion(having: list[Generation], limits: Bounds) -> Sizes:
    total = sum(each.size for each in having)
    rest = limits.most - total
    # the largest first; of equal ones the newest gains, the oldest loses
    ordered = sorted(having, key=lambda each: (each.size, _newness(each, 1 if rest > 0 else -1)), reverse=True)
    sizes: Sizes = {}
    for each in ordered:
        base = _mark(each, MAX) or total
        wanted = round(each.size * limits.most / base) - each.size if base else 0
        part = max(0, min(wanted, rest)) if rest > 0 else min(0, max(wanted, rest))
        sizes[each.set.uid] = each.size + part
        rest -= part
    first = ordered[0].set.uid
    sizes[first] = max(0, sizes[first] + rest)
    return {uid: max(0, size) for uid, size in sizes.items()}


def _newness(each: Generation, direction: int) -> tuple[int, str]:
    return direction * each.set.created, each.set.name


def _mark(each: Generation, name: str) -> int | None:
    text = annotations_of(each.set.value).get(name, "")
    return int(text) if text.isdigit() else None
