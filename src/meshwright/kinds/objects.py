"""The door: `read_objects` turns parsed documents into the objects of the mesh and says what was wrong."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from meshwright.documents.document import Document, Location, Parsed
from meshwright.documents.lines import Lines
from meshwright.kinds.fields import Fields
from meshwright.kinds.metadata import meta_of
from meshwright.kinds.naming import Names
from meshwright.kinds.schema import Run, suggest
from meshwright.kinds.sound import refused
from meshwright.kinds.table import KINDS, Closed, Kind, MeshValue
from meshwright.model import codes
from meshwright.model.config import ConfigMap, MeshNamespace, SecretContent, SecretRef, ServiceAccount
from meshwright.model.destination_rule import DestinationRule
from meshwright.model.diagnostic import Diagnostic
from meshwright.model.gateway import Gateway
from meshwright.model.meta import Meta
from meshwright.model.objects import MeshObjects
from meshwright.model.origin import ObjectRef, Origin
from meshwright.model.peer_authentication import PeerAuthentication
from meshwright.model.pod import Deployment, Pod
from meshwright.model.service import Service
from meshwright.model.virtual_service import VirtualService

# Istio's, of these groups, that the mesh does not use: every other name in them is misspelt.
_OTHER_KINDS = (
    "RequestAuthentication", "AuthorizationPolicy", "EnvoyFilter", "ProxyConfig", "Sidecar", "WorkloadGroup",
)  # fmt: skip
OWN_GROUPS = ("networking.istio.io", "security.istio.io")
_PLACES: dict[type[MeshValue], str] = {
    MeshNamespace: "namespaces",
    ServiceAccount: "service_accounts",
    Service: "services",
    Pod: "pods",
    Deployment: "deployments",
    ConfigMap: "config_maps",
    SecretRef: "secrets",
    SecretContent: "secret_contents",
    VirtualService: "virtual_services",
    DestinationRule: "destination_rules",
    Gateway: "gateways",
    PeerAuthentication: "peer_authentications",
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was read: the objects that can be used, all findings, and where every field stands."""

    objects: MeshObjects
    diagnostics: tuple[Diagnostic, ...]
    lines: Lines


def read_objects(parsed: Iterable[Parsed], cluster_domain: str = "cluster.local") -> Loaded:
    """Checks and reads every document. A wrong one is left out (a broken PeerAuthentication is STRICT instead);
    the others are read all the same. The order of the documents has no influence on the objects.
    """
    texts = tuple(parsed)
    reading = _Reading(cluster_domain)
    reading.diagnostics += [finding for text in texts for finding in text.diagnostics]
    kept = reading.choose([document for text in texts for document in text.documents])
    for document, kind in kept:
        reading.one(document, kind)
    places = {origin: place for text in texts for origin, place in text.places.items()}
    lines = Lines((document for document, _ in kept), {**places, **reading.places})
    return Loaded(reading.objects(), tuple(reading.diagnostics), lines)


class _Reading:
    """Collects values and findings."""

    def __init__(self, cluster_domain: str) -> None:
        self._cluster_domain = cluster_domain
        self._kinds = {(api_version, kind.kind): kind for kind in KINDS for api_version in kind.api_versions}
        self._values: dict[str, list[MeshValue]] = {name: [] for name in _PLACES.values()}
        self.diagnostics: list[Diagnostic] = []
        self.places: dict[Origin, Location] = {}
        self._unused: set[tuple[str, str]] = set()

    def choose(self, documents: Sequence[Document]) -> list[tuple[Document, Kind]]:
        """The documents of known kinds, one per object."""
        by_object: dict[ObjectRef, list[tuple[Document, Kind]]] = {}
        for document in documents:
            kind = self._kinds.get((str(document.value.get("apiVersion")), document.ref.kind))
            if kind is None and not document.refused:
                self._unknown(document)
            if kind is None:
                self._close(document)
            else:
                by_object.setdefault(document.ref, []).append((document, kind))
        return [self._one_of(rivals) if len(rivals) > 1 else rivals[0] for rivals in by_object.values()]

    def _one_of(self, rivals: list[tuple[Document, Kind]]) -> tuple[Document, Kind]:
        """Of several documents for one object the oldest counts, then the one whose content sorts first: not the
        order of files, which nobody sees.
        """
        ordered = sorted(rivals, key=lambda pair: _age(pair[0]))
        first, kind = ordered[0]
        others = [document for document, _ in ordered[1:]]
        different = [document for document in others if document.value != first.value]
        self._report_more(codes.DUPLICATE_OBJECT if different else codes.REPEATED_OBJECT, first, different or others)
        if different and kind.closed is not None:
            return Document(first.file, first.index, first.ref, {}, first.mark, refused=True), kind
        return first, kind

    def _report_more(self, code: codes.Code, first: Document, others: Sequence[Document]) -> None:
        """One finding for all of them, at the first of them: it names the places of the rest."""
        own, *rest = (document.locate("metadata.name") for document in others)
        kept = first.locate("metadata.name")
        places = ", ".join(f"{each.file}:{each.line}" for each in (kept, *rest))
        self._report(code, Origin(first.ref, "metadata.name"), own, f"{first.ref} (also at {places})")

    def _unknown(self, document: Document) -> None:
        """A kind that the table does not have under this apiVersion: misspelt, of another version, or not used.

        Kinds that are merely not used are told once each.
        """
        name, api_version = document.ref.kind, str(document.value.get("apiVersion"))
        group = api_version.rpartition("/")[0]
        same = [kind for kind in KINDS if kind.kind == name]
        own = group in OWN_GROUPS or group in {kind.group for kind in same}
        if same and (own or "." not in group or group.endswith("istio.io")):
            choices = ", ".join(same[0].api_versions)
            fix = f"write apiVersion: {same[0].api_versions[0]}"
            origin, place = Origin(document.ref, "apiVersion"), document.locate("apiVersion")
            self._report(codes.UNKNOWN_VALUE, origin, place, f'"{api_version}"', choices, fix)
            return
        meant = None if same else suggest(name, [kind.kind for kind in KINDS])
        if not same and group in OWN_GROUPS and name not in _OTHER_KINDS:
            self._misspelt(document, group, meant)
            return
        if meant:
            fix = f"did you mean {meant}?"
        elif (api_version, name) in self._unused:
            return  # one finding for all ReplicaSets of a cluster is enough
        elif same:
            fix = f"the mesh reads {name} of {same[0].api_versions[0]}"
        else:
            fix = _without(group)
            self._unused.add((api_version, name))
        origin = Origin(document.ref, "kind")
        self._report(codes.UNKNOWN_KIND, origin, document.locate("kind"), name, api_version, fix)

    def _misspelt(self, document: Document, group: str, meant: str | None) -> None:
        """A kind of Istio's groups that Istio does not have: no API takes it."""
        known = sorted({kind.kind for kind in KINDS if kind.group == group})
        fix = f"did you mean {meant}?" if meant else f"write one of {', '.join(known)}"
        origin, place = Origin(document.ref, "kind"), document.locate("kind")
        self._report(codes.UNKNOWN_VALUE, origin, place, f'"{document.ref.kind}"', f"the kinds of {group}", fix)

    def _close(self, document: Document) -> None:
        """A security object of a misspelt kind or apiVersion still fails closed."""
        meant = suggest(document.ref.kind, [kind.kind for kind in KINDS])
        for kind in KINDS:
            if kind.kind == meant and kind.closed is not None and document.ref.kind not in _OTHER_KINDS:
                why, fix = "it cannot be read", f"write kind {kind.kind} and apiVersion {kind.api_versions[0]}"
                self._fail_closed(document, kind.closed, why, fix)

    def _fail_closed(self, document: Document, closed: Closed, why: str, fix: str) -> None:
        self.diagnostics.append(Diagnostic(codes.POLICY_DENIES, document.origin, (why, fix)))
        self.places.setdefault(document.origin, document.locate(""))
        self._keep(closed(document.value, Meta(document.ref, _created(document))))

    def one(self, document: Document, kind: Kind) -> None:
        """Checks and reads one document."""
        run = Run(document.ref, kind.secret)
        if not document.refused:
            kind.schema.check(document.value, None, run)
        self.diagnostics += run.findings
        root = Fields(document.value, document.ref)
        if not document.refused and not refused(run.findings):
            names = Names(document.ref.namespace, self._cluster_domain)
            self._keep(kind.read(root, meta_of(document.ref, root), names))
        elif kind.closed is not None:
            why = run.findings[0].message if run.findings else "it cannot be read"
            fix = run.findings[0].fix if run.findings else "correct the document"
            self._fail_closed(document, kind.closed, why, fix)

    def _keep(self, values: Iterable[MeshValue]) -> None:
        for value in values:
            self._values[_PLACES[type(value)]].append(value)

    def _report(self, code: codes.Code, origin: Origin, place: Location, *args: str) -> None:
        self.diagnostics.append(Diagnostic(code, origin, args))
        self.places.setdefault(origin, place)

    def objects(self) -> MeshObjects:
        """All values, sorted by object, so that the order of documents cannot be seen."""
        known = {item.name for item in fields(MeshObjects)}
        assert known == set(self._values)
        ordered = {name: tuple(sorted(values, key=_sort_key)) for name, values in self._values.items()}
        return MeshObjects(**ordered)  # pyright: ignore[reportArgumentType]  (each list holds its own type)


def _without(group: str) -> str:
    """What it means that objects of this group are not used."""
    if group == "security.istio.io":
        return "take care: what it asks for is not enforced yet"
    if group.endswith("istio.io"):
        return "remove it: it has no effect yet"
    return "nothing to do: the mesh works without it"


def _sort_key(value: MeshValue) -> tuple[ObjectRef, str]:
    return value.meta.ref, value.host if isinstance(value, Service) else ""


def _created(document: Document) -> str:
    metadata = document.value.get("metadata")
    created = metadata.get("creationTimestamp") if isinstance(metadata, dict) else None
    return created if isinstance(created, str) else ""


def _age(document: Document) -> tuple[bool, str, bool, str]:
    created = _created(document)
    return not created, created, document.refused, json.dumps(document.value, sort_keys=True)
