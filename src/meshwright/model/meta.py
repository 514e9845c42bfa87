"""What every object has: who it is, and what decides between two of them."""

from dataclasses import dataclass

from meshwright.model.labels import Labels
from meshwright.model.origin import ObjectRef, Origin


@dataclass(frozen=True, slots=True)
class Meta:
    """`created` is the RFC 3339 creationTimestamp as text, "" when unknown (sorts as newest: see `age`).

    `generation` is left out on purpose: values that the compiler reads hold meaning only. `labels` are
    here because some kinds are selected by them; `annotations` only those that the mesh reads.
    """

    ref: ObjectRef
    created: str = ""
    labels: Labels = Labels()
    annotations: Labels = Labels()

    @property
    def namespace(self) -> str:
        return self.ref.namespace

    @property
    def name(self) -> str:
        return self.ref.name

    @property
    def origin(self) -> Origin:
        return Origin(self.ref)

    @property
    def age(self) -> tuple[bool, str, str, str]:
        """Sort key, oldest first: creation time, then name, then namespace; unknown times come last."""
        return (not self.created, self.created, self.ref.name, self.ref.namespace)
