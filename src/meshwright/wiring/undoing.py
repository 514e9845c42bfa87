"""Which change `undo` means without a number, and the changes that people made."""

from meshwright.processes.messages import BadRequest
from meshwright.store.history import Change
from meshwright.store.names import ChangeNumber, Key, Resource, is_of_controller
from meshwright.store.store import Store
from meshwright.wiring.seeding import AUTHOR

PAGE = 100
NAMESPACES = Resource("", "namespaces")


async def newest_of_people(store: Store, limit: int, key: Key | None = None) -> list[Change]:
    """The newest changes that people made, newest first."""
    found, before = list[Change](), None
    while len(found) < limit:
        page = await store.changes(PAGE, key, before)
        found += [each for each in page if not is_of_controller(each.author)]
        if len(page) < PAGE:
            break
        before = page[-1].number
    return found[:limit]


async def last_of_a_person(store: Store) -> ChangeNumber:
    """Neither what controllers made of it, nor the start of the mesh. Raises BadRequest where there is none, and
    where something was done since that is in no change of a person: a namespace goes by and by.
    """
    found = [each for each in await newest_of_people(store, 1) if each.author != AUTHOR]
    if not found:
        raise BadRequest("nobody has changed anything since the mesh was started", "refused")
    number = found[0].number
    with_it = {each.key.namespace for each in found[0].differences if each.after is None}
    gone = await _namespaces_gone_since(store, number) - with_it
    if gone:
        names = ", ".join(sorted(gone))
        raise BadRequest(
            f"since change {number} somebody has deleted the namespace {names}, with all that was in it. "
            f"`meshwright rollback {number}` brings it back; `meshwright undo {number}` takes that change back alone",
            "refused",
        )
    return number


async def _namespaces_gone_since(store: Store, number: ChangeNumber) -> set[str]:
    gone, before = set[str](), None
    while True:
        page = await store.changes(PAGE, None, before)
        later = [each for each in page if each.number > number]
        for change in reversed(later):
            for each in change.differences:
                if each.key.resource == NAMESPACES:
                    (gone.add if each.after is None else gone.discard)(each.key.name)
        if len(later) < PAGE:
            return gone
        before = page[-1].number
