"""Addresses that were given out stay: a new name never moves another, and a restart moves none."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from meshwright.wiring.addresses import Network, allocate


class AddressBook:
    """The addresses of one network by name, kept in a file. Names that are no longer asked for give theirs back."""

    def __init__(self, path: Path, network: Network) -> None:
        self._path = path
        self._network = network
        self._given = _read(path)

    def of(self, names: Iterable[str], fixed: Mapping[str, str], reserved: Iterable[str] = ()) -> Mapping[str, str]:
        """An address for each name. `fixed` are asked for by the user and win; `reserved` are never given out."""
        wanted = set(names)
        held = set(fixed.values()) | set(reserved)
        kept = {
            name: address
            for name, address in self._given.items()
            if name in wanted and name not in fixed and address not in held
        }
        missing = wanted - kept.keys() - fixed.keys()
        fresh = allocate(missing, self._network, held | set(kept.values()))
        given = {**kept, **fresh}
        if given != self._given:
            self._given = given
            self._save()
        return {**given, **{name: address for name, address in fixed.items() if name in wanted}}

    def _save(self) -> None:
        temporary = self._path.with_suffix(".new")
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary.write_text(json.dumps(self._given))
        temporary.replace(self._path)


def _read(path: Path) -> dict[str, str]:
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}


def given_in(path: Path) -> frozenset[str]:
    """The addresses that the book of a file has given out."""
    return frozenset(_read(path).values())
