"""Events: what happened to objects, for people. The same again is counted, and all of them are forgotten in time."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from meshwright.controllers.decision import Decision, Happening
from meshwright.controllers.resources import EVENTS
from meshwright.controllers.values import dig, moment, number, text_hash, timestamp
from meshwright.controllers.world import Object, World
from meshwright.store.names import EpochMilliseconds, Json, Key, Uid
from meshwright.store.writes import Create, Delete, Update, Write

KEEP_MILLISECONDS = 3_600_000
MOST_PER_NAMESPACE = 2_000
EVERYWHERE = Key(EVENTS, "", "*")  # the one key of a controller that looks at all events together
_PAUSE_MILLISECONDS = 60_000
_STALE_MILLISECONDS = 600_000
_DEFAULT_NAMESPACE = "default"
_LONGEST_MESSAGE = 1024


def event_key(happening: Happening) -> Key:
    """The same happening has the same name, so that it is found again, also after a restart."""
    about = happening.about
    topic = happening.message if happening.topic is None else happening.topic
    parts = [about.uid, happening.reason, topic, happening.component, happening.part]
    return Key(EVENTS, about.namespace or _DEFAULT_NAMESPACE, f"{about.name}.{text_hash(parts, 16)}")


def event_writes(
    find: Callable[[Key], Object | None], happenings: Iterable[Happening], now: EpochMilliseconds
) -> list[Write]:
    """One write per kind of happening: a new Event, or one more count of the one that is there."""
    counted: dict[Key, list[Happening]] = defaultdict(list)
    for happening in happenings:
        counted[event_key(happening)].append(happening)
    return [_write(key, find(key), same, now) for key, same in counted.items()]


def _write(key: Key, before: Object | None, same: list[Happening], now: EpochMilliseconds) -> Write:
    if before is None:
        return Create(key, _event(same[0], len(same), now))
    total = number(before.value.get("count"), 1) + len(same)
    return Update(key, {**before.value, "count": total, "lastTimestamp": timestamp(now)}, before.revision)


@dataclass(frozen=True, slots=True)
class Count:
    """How often something has happened in all, from when to when."""

    times: int
    first: EpochMilliseconds
    last: EpochMilliseconds


def counted_write(before: Object | None, happening: Happening, count: Count, now: EpochMilliseconds) -> Write | None:
    """The Event `before` of something that somebody else counts, as it should be; None where it is, or where it was
    forgotten and nothing of it is new.
    """
    last = min(count.last, now)
    if before is None:
        if now - last > _STALE_MILLISECONDS:
            return None
        first = EpochMilliseconds(min(count.first, last))
        return Create(
            event_key(happening), {**_event(happening, count.times, last), "firstTimestamp": timestamp(first)}
        )
    if number(before.value.get("count"), 1) == count.times:
        return None
    message = happening.message[:_LONGEST_MESSAGE]
    told: Json = {"count": count.times, "message": message, "lastTimestamp": timestamp(last)}
    return Update(before.key, {**before.value, **told}, before.revision)


def _event(happening: Happening, times: int, now: EpochMilliseconds) -> Json:
    about = happening.about
    involved: Json = {
        "apiVersion": about.value.get("apiVersion"),
        "kind": about.value.get("kind"),
        "name": about.name,
        "uid": about.uid,
        "resourceVersion": str(about.revision),
    }
    if about.namespace:
        involved["namespace"] = about.namespace
    if happening.part:
        involved["fieldPath"] = happening.part
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {},
        "involvedObject": involved,
        "reason": happening.reason,
        "message": happening.message[:_LONGEST_MESSAGE],
        "type": "Warning" if happening.warning else "Normal",
        "source": {"component": happening.component},
        "reportingComponent": happening.component,
        "reportingInstance": "",
        "firstTimestamp": timestamp(now),
        "lastTimestamp": timestamp(now),
        "count": times,
    }


def last_seen(event: Object) -> EpochMilliseconds:
    """When it happened last."""
    return moment(event.value.get("lastTimestamp") or dig(event.metadata, "creationTimestamp"))


class Events:
    """The controller that forgets: what is older than an hour, and the oldest where a namespace has too many."""

    name = "event"

    standing = frozenset({EVERYWHERE})

    def concerns(self, world: World, thing: Object) -> set[Key]:
        crowded = thing.key.resource == EVENTS and world.size(EVENTS, thing.namespace) > MOST_PER_NAMESPACE
        return {EVERYWHERE} if crowded else set()

    def decide(self, world: World, key: Key, now: EpochMilliseconds) -> Decision:
        del key
        places: dict[str, list[Object]] = defaultdict(list)
        for event in world.of(EVENTS):
            places[event.namespace].append(event)
        going = [event for found in places.values() for event in _surplus(found, now)]
        return Decision(
            tuple(Delete(event.key, uid=Uid(event.uid)) for event in going),
            again=EpochMilliseconds(now + _PAUSE_MILLISECONDS),
        )


def _surplus(events: list[Object], now: EpochMilliseconds) -> list[Object]:
    ordered = sorted(events, key=lambda event: (last_seen(event), event.name))
    many = max(0, len(ordered) - MOST_PER_NAMESPACE)
    return [event for i, event in enumerate(ordered) if i < many or last_seen(event) < now - KEEP_MILLISECONDS]
