"""Finds the line for an origin: origins themselves hold none, because lines move when a comment moves."""

from collections.abc import Iterable, Mapping

from meshwright.documents.document import Document, Location, Parsed
from meshwright.model.origin import ObjectRef, Origin


class Lines:
    """An index over loaded documents. When two documents declare one object, the first answers."""

    __slots__ = ("_documents", "_places")

    def __init__(self, documents: Iterable[Document] = (), places: Mapping[Origin, Location] | None = None) -> None:
        self._documents: dict[ObjectRef, Document] = {}
        for document in documents:
            self._documents.setdefault(document.ref, document)
        self._places = dict(places or {})

    @classmethod
    def of(cls, parsed: Iterable[Parsed]) -> "Lines":
        """The index over everything that was parsed."""
        texts = tuple(parsed)
        places = {origin: place for text in texts for origin, place in text.places.items()}
        return cls((document for text in texts for document in text.documents), places)

    def find(self, origin: Origin) -> Location | None:
        """The place of the field, or of its nearest written parent; None for an object that no document holds."""
        place = self._places.get(origin)
        if place is not None:
            return place
        document = self._documents.get(origin.object)
        return None if document is None else document.locate(origin.path)
