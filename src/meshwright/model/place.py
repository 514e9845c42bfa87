"""Where a workload runs, as labels: no document writes them on pods, Istio adds them, subsets may choose by them."""

from meshwright.model.labels import Labels

CLUSTER = "Kubernetes"
"""The name of our only cluster, which is Istio's default."""
_CLUSTER_LABEL = "topology.istio.io/cluster"
_LOCALITY_LABELS = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone")
_ADDED = frozenset({_CLUSTER_LABEL, *_LOCALITY_LABELS, "topology.istio.io/network"})


def is_chosen(own: Labels, locality: str, wanted: Labels) -> bool:
    """Whether what has the labels `own` and runs at `locality` (region/zone/subzone) is in the subset `wanted`."""
    if own.includes(wanted):
        return True
    if not any(key in _ADDED for key, _ in wanted.pairs):
        return False
    known = zip(_LOCALITY_LABELS, locality.split("/"), strict=False)
    added = {key: part for key, part in known if part}
    return Labels.of({**dict(own.pairs), **added, _CLUSTER_LABEL: CLUSTER}).includes(wanted)


def without_place(labels: Labels) -> Labels:
    """The labels that a document has to write: what is left of a subset's when nobody knows the places."""
    return Labels(tuple(pair for pair in labels.pairs if pair[0] not in _ADDED))
