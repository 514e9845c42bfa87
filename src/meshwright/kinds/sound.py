"""An object of which parts are wrong, for rules that are about the rest: every mistake is told at once."""

from collections.abc import Callable, ItemsView, Iterable

from meshwright.documents.document import Value
from meshwright.kinds.fields import Fields
from meshwright.kinds.place import Place, origin_of
from meshwright.model import codes
from meshwright.model.diagnostic import Diagnostic, Effect
from meshwright.model.origin import ObjectRef, Origin


class _WrongFieldError(Exception):
    """A rule asked for a field that is wrong itself: there is nothing that it could say."""


class _Sound(dict[str, Value]):
    """The object at `origin` without the fields at `wrong`: they cannot be read."""

    def __init__(self, value: dict[str, Value], origin: Origin, wrong: frozenset[str]) -> None:
        super().__init__(value)
        self._origin = origin
        self._wrong = wrong

    def get(self, name: str, default: Value = None) -> Value:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Raises _WrongFieldError for a field that is wrong, or that lacks though it must be there."""
        return self._sound(super().get(name, default), self._origin.field(name))

    def items(self) -> ItemsView[str, Value]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Raises _WrongFieldError where one of them is wrong."""
        return {name: self._sound(item, self._origin.field(name)) for name, item in super().items()}.items()

    def _sound(self, value: Value, origin: Origin) -> Value:
        if origin.path in self._wrong:
            raise _WrongFieldError
        match value:
            case dict():
                return _Sound(value, origin, self._wrong)
            case list():
                return [self._sound(item, origin.item(index)) for index, item in enumerate(value)]
            case _:
                return value


def refused(findings: Iterable[Diagnostic]) -> bool:
    """Whether one of the findings keeps the object out."""
    return any(finding.code.effect is Effect.REFUSED for finding in findings)


def told_by(
    rules: Iterable[Callable[[Fields], Iterable[Diagnostic]]],
    value: dict[str, Value],
    at: tuple[ObjectRef, Place],
    known: list[Diagnostic],
) -> list[Diagnostic]:
    """What rules find in the object at a place of which so much is `known` to be wrong. A rule that would have to
    read something wrong says nothing; nothing is missed beside a name that nobody knows, which was probably it.
    """
    ref, place = at
    if not refused(known):
        return [each for rule in rules for each in rule(Fields(value, ref, place))]
    origin = origin_of(ref, place)
    wrong = frozenset(each.origin.path for each in known if each.code.effect is Effect.REFUSED)
    mistyped = any(each.code is codes.UNKNOWN_FIELD and _is_member(each.origin, origin) for each in known)
    view = Fields(_Sound(value, origin, wrong), ref, place)
    found = [each for rule in rules for each in _as_far_as_it_gets(rule(view))]
    return [each for each in found if not (mistyped and each.code is codes.MISSING_FIELD)]


def _as_far_as_it_gets(found: Iterable[Diagnostic]) -> Iterable[Diagnostic]:
    try:
        yield from found
    except _WrongFieldError:
        return


def _is_member(field: Origin, holder: Origin) -> bool:
    rest = field.path.removeprefix(holder.path).removeprefix(".")
    return not any(sign in rest for sign in ".[")
